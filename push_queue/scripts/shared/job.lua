-- What every script about a job has: its keys, its record, and who hears of it.
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

local EVENTS_KEPT = 10000

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
