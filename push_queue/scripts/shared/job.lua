-- What every script about a job starts with.
--
-- KEYS  1 push:job:{id}   2 push:job:{id}:blobs   3 push:job:{id}:attempts
--       4 push:jobs       5 push:finished         6 push:events
--       7 push:seq        8 arq's queue           9.. push:jobs:{state}, of each state
-- ARGV  1 namespace       2 job id                3 seconds to keep finished jobs
--       4 what tells a job's team                 5.. the script's own, as `args`
local job, blobs, attempts = KEYS[1], KEYS[2], KEYS[3]
local all, finished, events, sequence_key = KEYS[4], KEYS[5], KEYS[6], KEYS[7]
local queue = KEYS[8]
local in_state = {}
for i = 9, #KEYS do
  in_state[string.match(KEYS[i], '%a+$')] = KEYS[i]
end
local id, keep, teams_by = ARGV[2], ARGV[3], ARGV[4]
local args = {unpack(ARGV, 5)}

-- Milliseconds of Unix time as ISO 8601 in UTC. Years are counted from the 1st of March of the year 0,
-- so that a leap day is the last of its year.
local function timestamp(ms)
  local seconds = math.floor(ms / 1000)
  local day, second = math.floor(seconds / 86400) + 719468, seconds % 86400
  local era, day_of_era = math.floor(day / 146097), day % 146097
  local year = math.floor((day_of_era - math.floor(day_of_era / 1460)
    + math.floor(day_of_era / 36524) - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * day_of_year + 2) / 153)
  local january = month >= 10 and 1 or 0
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ',
    era * 400 + year + january, month + 3 - 12 * january,
    day_of_year - math.floor((153 * month + 2) / 5) + 1,
    math.floor(second / 3600), math.floor(second / 60) % 60, second % 60, ms % 1000)
end

-- The reverse of `timestamp`.
local function milliseconds(text)
  local year, month, day, hour, minute, second, ms =
    string.match(text, '(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)%.(%d+)Z')
  local january = tonumber(month) <= 2 and 1 or 0
  year, month = year - january, month - 3 + 12 * january
  local days = 365 * year + math.floor(year / 4) - math.floor(year / 100)
    + math.floor(year / 400) + math.floor((153 * month + 2) / 5) + day - 719469
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms
end

local now = timestamp(now_ms)

local EVENTS_KEPT = 10000
local ATTEMPTS_KEPT = 100
local MINUTES_KEPT = 61
-- Ten years: a queued job must not expire because there was no worker for a while.
local ARQ_RECORD_MS = 10 * 365 * 24 * 3600 * 1000

local function is_final(state)
  return state == 'succeeded' or state == 'failed' or state == 'cancelled' or state == 'superseded'
end

-- The named fields of the job as a table, without those that the job does not have.
local function read(...)
  local names, values, record = {...}, redis.call('HMGET', job, ...), {}
  for i, name in ipairs(names) do
    record[name] = values[i] or nil
  end
  return record
end

-- All fields of the job as a table; nil if its key holds something other than a hash.
local function read_all()
  local items, record = redis.pcall('HGETALL', job), {}
  if items.err then
    return nil
  end
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

-- Whether the text is a number to calculate with. Lua takes `inf` and `nan` for numbers, too.
local function is_finite(text)
  local number = tonumber(text)
  return number and number - number == 0
end

-- The strings of a list in JSON; nil if it is anything else, or empty.
local function strings(text)
  local read, list = pcall(cjson.decode, text)
  if not read or type(list) ~= 'table' or #list == 0 then
    return nil
  end
  for _, item in ipairs(list) do
    if type(item) ~= 'string' then
      return nil
    end
  end
  return list
end

-- The job's targets as a list; nil if they cannot be read.
local function targets_of(record)
  return strings(record.targets)
end

-- Note who asked for a change, if that is known. `record` needs fence and format.
--
-- A worker refuses fields that it does not know in a job that nobody has started yet, so such a job is
-- left to those that know this one.
local function sign(record, field, caller, format)
  if caller == '' then
    return
  end
  redis.call('HSET', job, field, caller)
  if not record.fence and (tonumber(record.format) or 1) < tonumber(format) then
    redis.call('HSET', job, 'format', format)
  end
end

local function publish(message)
  redis.call('PUBLISH', namespace .. ':progress:' .. id, cjson.encode(message))
end

-- Tell everybody that the job has entered the state. Call it when the job's hash is written.
local function announce(state, attempt)
  redis.call('XADD', events, 'MAXLEN', '~', EVENTS_KEPT, '*',
    'id', id, 'state', state, 'attempt', attempt, 'at', now)
  publish({id = id, state = state, attempt = tonumber(attempt)})
  if is_final(state) then
    notify(id, job, sequence_key, state)
  end
end

-- arq's id of the job in this generation.
local function arq_id(generation)
  return namespace .. ':' .. id .. ':' .. generation
end

-- Refuse the script unless the user may run all of these commands.
--
-- Call it before the script writes, since Redis does not roll back. Redis itself checks in advance
-- that it has memory, is writable, and that the user may use the script's KEYS. So these are the
-- commands on other keys.
local function demand(commands)
  for _, command in ipairs(redis.acl_check_cmd and commands or {}) do
    if not redis.acl_check_cmd(unpack(command)) then
      error({err = 'NOPERM no permission for ' .. command[1] .. ' on ' .. command[2]})
    end
  end
end

-- Give the job to arq, to run when it is due. Then it gets its lead over others. `record` needs
-- generation, labels and enqueued_by.
--
-- Call it before all else that a script writes.
local function give_to_arq(record, due, lead)
  local name = arq_id(record.generation)
  local arq_record, teams = 'arq:job:' .. name, namespace .. ':jobs:teams'
  demand({
    {'SET', arq_record, ''}, {'PUBLISH', namespace .. ':progress:' .. id, ''},
    {'HSET', teams, '', ''},
  })
  -- As arq's serialize_job writes it. An id needs no escaping.
  local text = string.format('{"t":null,"f":"push_image","a":["%s",%d],"k":{},"et":%.0f}',
    id, record.generation, now_ms)
  redis.call('SET', arq_record, text,
    'PX', string.format('%.0f', math.max(due - now_ms, 0) + ARQ_RECORD_MS))
  local score = string.format('%.0f', due)
  if due <= now_ms then
    score = score_in(band_for(record, teams_by, teams), now_ms - lead)
  end
  redis.call('ZADD', queue, score, name)
end

-- Whether arq has the job in its queue, or runs it.
local function arq_has(generation)
  local name = arq_id(generation)
  return redis.call('EXISTS', 'arq:in-progress:' .. name) == 1
    or redis.call('ZSCORE', queue, name) and redis.call('EXISTS', 'arq:job:' .. name) == 1
end

-- Take the job out of arq's queue. A worker that has just taken it will notice. If that worker dies,
-- the next one does.
local function take_from_arq(generation)
  local name = arq_id(generation)
  if redis.call('EXISTS', 'arq:in-progress:' .. name) == 0 then
    redis.call('ZREM', queue, name)
    redis.call('DEL', 'arq:job:' .. name, 'arq:retry:' .. name)
  else
    redis.call('ZADD', queue, 'XX', now_ms, name)
  end
end

-- The jobs of a format that older workers have left, by the place that they had in arq's queue.
local function newer_key(format)
  return namespace .. ':newer:' .. format
end

-- The keys of a source: its unfinished jobs, and the files that the last of them deletes.
local function source_keys(source)
  return namespace .. ':source:' .. source, namespace .. ':unwanted:' .. source
end

local ranks = {high = 0, normal = 1, low = 2}

-- The jobs of a priority that wait for a worker, by the time (ms) from which they do.
local function due_key(priority)
  return namespace .. ':jobs:due:' .. priority
end

-- The job waits for a worker from that time on. For reports alone: arq's queue says what runs next.
local function wait_for_worker(priority, due)
  redis.call('ZADD', due_key(ranks[priority] and priority or 'normal'),
    string.format('%.0f', due), id)
end

local function stop_waiting_for_worker()
  for priority in pairs(ranks) do
    redis.call('ZREM', due_key(priority), id)
  end
end

local function registry_of(target)
  return string.match(target, '^[^/]+')
end

-- Larger than any sequence number of this century. Three times as much is still an exact number.
local RANK = 2 ^ 51

-- Let the job wait until release.lua wakes it for one of the registries. `record` needs sequence and
-- priority.
local function wait_at(record, registries)
  local rank = ranks[record.priority] or ranks.normal
  local place = string.format('%.0f', rank * RANK + record.sequence)
  for _, registry in ipairs(registries) do
    redis.call('ZADD', waiting_key(registry), place, id)
    redis.call('SADD', namespace .. ':waiting', registry)
  end
  record.waiting_at = table.concat(registries, ' ')
  redis.call('HSET', job, 'waiting_at', record.waiting_at)
  stop_waiting_for_worker()
end

local function stop_waiting(record)
  if record.waiting_at then
    for registry in string.gmatch(record.waiting_at, '%S+') do
      redis.call('ZREM', waiting_key(registry), id)
    end
    redis.call('HDEL', job, 'waiting_at')
    record.waiting_at = nil
  end
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

-- Milliseconds for which the job still waits for registries that are down. They run from `since` if
-- they do not run yet. `record` needs give_up_at, and give_up_after unless the `default` holds, in
-- seconds.
local function patience_left(record, default, since)
  if not record.give_up_at then
    record.give_up_at = timestamp(
      milliseconds(since) + 1000 * (record.give_up_after or default))
    redis.call('HSET', job, 'give_up_at', record.give_up_at)
  end
  return milliseconds(record.give_up_at) - now_ms
end

-- The job has made progress, so the time to wait for registries starts again.
local function restore_patience()
  redis.call('HDEL', job, 'give_up_at')
  redis.call('HSET', job, 'progressed_at', now)
end

-- The registry has answered this job. If the job was its probe, the pause is over.
local function end_pause(registry)
  if is_probe(registry, id) then
    redis.call('DEL', pause_key(registry))
  end
end

-- The job is no longer the probe of any registry. If they have answered, their pauses are over; else
-- another job may try. `record` needs probing, a JSON list of them. One that cannot be read runs out.
local function end_probe(record, answer)
  for _, registry in ipairs(strings(record.probing) or {}) do
    if answer then
      end_pause(registry)
    elseif is_probe(registry, id) then
      stop_probe(registry)
    end
  end
  redis.call('HDEL', job, 'probing')
end
