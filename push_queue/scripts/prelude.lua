-- What every script about a job starts with.
--
-- KEYS  1 push:job:{id}   2 push:job:{id}:blobs   3 push:job:{id}:attempts
--       4 push:jobs       5 push:finished         6 push:events       7 push:seq
--       8.. push:jobs:{state}: queued, running, retrying, succeeded, failed, cancelled, superseded
-- ARGV  1 job id          2 namespace             3 now, ISO 8601
--       4 now, Unix time  5 seconds to keep finished jobs
--       6.. the script's own, as `args`
local job, blobs, attempts = KEYS[1], KEYS[2], KEYS[3]
local all, finished, events, sequence_key = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local in_state = {
  queued = KEYS[8], running = KEYS[9], retrying = KEYS[10],
  succeeded = KEYS[11], failed = KEYS[12], cancelled = KEYS[13], superseded = KEYS[14],
}
local id, namespace, now, now_unix, keep = ARGV[1], ARGV[2], ARGV[3], ARGV[4], ARGV[5]
local args = {unpack(ARGV, 6)}

local EVENTS_KEPT = 10000
local ATTEMPTS_KEPT = 100

local function is_final(state)
  return state == 'succeeded' or state == 'failed' or state == 'cancelled' or state == 'superseded'
end

-- The named fields of the job as a table; a field that is not there is absent.
local function read(...)
  local names, values, record = {...}, redis.call('HMGET', job, ...), {}
  for i, name in ipairs(names) do
    record[name] = values[i] or nil
  end
  return record
end

-- All fields of the job as a table.
local function read_all()
  local items, record = redis.call('HGETALL', job), {}
  for i = 1, #items, 2 do
    record[items[i]] = items[i + 1]
  end
  return record
end

-- A table as field, value, …
local function flat(record)
  local items = {}
  for name, value in pairs(record) do
    table.insert(items, name)
    table.insert(items, tostring(value))
  end
  return items
end

local function publish(message)
  redis.call('PUBLISH', namespace .. ':progress:' .. id, cjson.encode(message))
end

local function announce(state, attempt)
  redis.call('XADD', events, 'MAXLEN', '~', EVENTS_KEPT, '*',
    'id', id, 'state', state, 'attempt', attempt, 'at', now)
  publish({id = id, state = state, attempt = tonumber(attempt)})
end

-- Take the job from one state's index to another's; final jobs begin to expire.
local function move(record, state)
  redis.call('ZREM', in_state[record.state], id)
  redis.call('ZADD', in_state[state], record.sequence, id)
  if is_final(state) then
    redis.call('ZADD', finished, now_unix + keep, id)
    redis.call('EXPIRE', job, keep)
    redis.call('EXPIRE', attempts, keep)
  end
end

-- Write down how the attempt under way ended. `record` needs attempt, worker and started_at.
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

local function registry_of(target)
  return string.match(target, '^[^/]+')
end

local function pause_key(registry)
  return namespace .. ':registry:' .. registry .. ':pause'
end

-- This job no longer tries the registries after their pause. If they answer again nobody need wait
-- longer, else another job may try. `record` needs probing, a JSON list of them, and loses it.
local function end_probe(record, answer)
  for _, registry in ipairs(cjson.decode(record.probing)) do
    local pause = pause_key(registry)
    if redis.call('HGET', pause, 'probe') ~= id then
      -- A new pause has begun, or the probe took too long.
    elseif answer then
      redis.call('DEL', pause)
    else
      redis.call('HDEL', pause, 'probe', 'probe_until')
    end
  end
  redis.call('HDEL', job, 'probing')
end
