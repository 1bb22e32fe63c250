-- How the job gets from state to state, and what is counted and listed of that.

local ATTEMPTS_KEPT = 100
local MINUTES_KEPT = 61

-- The keys of a source: its unfinished jobs, and the files that the last of them deletes.
local function source_keys(source)
  return namespace .. ':source:' .. source, namespace .. ':unwanted:' .. source
end

-- Add to what all workers have done in this minute.
local function count(what, number)
  if number > 0 then
    local minute = namespace .. ':minute:' .. math.floor(now_unix / 60)
    redis.call('HINCRBY', minute, what, string.format('%.0f', number))
    redis.call('EXPIRE', minute, MINUTES_KEPT * 60)
  end
end

-- Add the job that ends to what was done in this minute.
local function count_end(state, error_kind, bytes_saved)
  count(state, 1)
  if state == 'failed' then
    count('failed:' .. (error_kind or ''), 1)
  elseif state == 'succeeded' then
    count('bytes_saved', tonumber(bytes_saved) or 0)
  end
end

-- Add to what all workers have done since this Redis is used. The key is below `push:jobs:`, since
-- producers, who may cancel, may write there.
local function add_up(what, number)
  if number > 0 then
    redis.call('HINCRBY', namespace .. ':jobs:totals', what, string.format('%.0f', number))
  end
end

-- Move the job from the index of its state to that of another. A final job begins to expire. `record`
-- needs state, sequence, and waiting_at if the job may be waiting for a registry. A job that waits
-- for a worker from a later time on has that time as `due`.
local function move(record, state, due)
  stop_waiting(record)
  redis.call('ZREM', in_state[record.state], id)
  redis.call('ZADD', in_state[state], record.sequence, id)
  if state == 'queued' or state == 'retrying' then
    wait_for_worker(redis.call('HGET', job, 'priority'), due or now_ms)
  else
    stop_waiting_for_worker()
  end
  if state ~= 'running' then
    redis.call('HDEL', job, 'bytes_per_second', 'seconds_left')
  end
  if is_final(state) then
    local kind = state == 'failed' and redis.call('HGET', job, 'error_kind')
    add_up('ended:' .. state .. ':' .. (kind or ''), 1)
    redis.call('ZADD', finished, now_unix + keep, id)
    redis.call('EXPIRE', job, keep)
    redis.call('EXPIRE', attempts, keep)
    redis.call('HDEL', job, 'progressed_at', 'most_bytes', 'most_blobs', 'source_seen', 'held')
    redis.call('SREM', (source_keys(redis.call('HGET', job, 'source') or '')), id)
  end
end

-- Add the time of the attempt that ends to that of those before it. `record` needs seconds_run and
-- started_at.
local function note_time(record)
  local began = string.match(record.started_at or '', '^%d+-%d+-%d+T%d+:%d+:%d+%.%d+Z$')
  if began then
    local seconds = math.max(0, now_ms - milliseconds(began)) / 1000
    redis.call('HSET', job, 'seconds_run',
      string.format('%.3f', seconds + (tonumber(record.seconds_run) or 0)))
  end
end

-- List the attempt, with its outcome. `record` needs attempt, worker and started_at.
local function close_attempt(record, outcome, error, error_kind)
  local count = redis.call('RPUSH', attempts, cjson.encode({
    number = tonumber(record.attempt), worker = record.worker,
    started_at = record.started_at, finished_at = now,
    outcome = outcome, error = error, error_kind = error_kind,
  }))
  if count > ATTEMPTS_KEPT then
    redis.call('LTRIM', attempts, -ATTEMPTS_KEPT, -1)
  end
end
