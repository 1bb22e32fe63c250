-- Events for the receivers of webhooks. Each has a stream of its own, which its sender empties.
--
-- The set push:webhooks has the names of the receivers. What is known of one is in the hash
-- push:webhook:{name}, which expires a week after the last worker that has it in its settings.
local UNSENT_SECONDS = 7 * 24 * 3600

local function receiver_keys(name)
  local receiver = namespace .. ':webhook:' .. name
  return receiver, receiver .. ':events'
end

-- The commands of `notify`, to be demanded.
local function notices()
  local webhooks = namespace .. ':webhooks'
  local commands = {{'SMEMBERS', webhooks}}
  if not redis.acl_check_cmd or not redis.acl_check_cmd('SMEMBERS', webhooks) then
    return commands
  end
  for _, name in ipairs(redis.call('SMEMBERS', webhooks)) do
    local receiver, events = receiver_keys(name)
    table.insert(commands, {'HINCRBY', receiver, 'dropped', 1})
    table.insert(commands, {'HSET', receiver, 'last_lost_at', now_unix})
    table.insert(commands, {'XADD', events, '*', 'event', ''})
  end
  return commands
end

-- Give the job, as its hash is now, to the receivers that want to hear of this state.
--
-- All of them get the same number. The numbers of a job's events grow.
local function notify(id, job, sequence_key, state)
  local number
  for _, name in ipairs(redis.call('SMEMBERS', namespace .. ':webhooks')) do
    local receiver, events = receiver_keys(name)
    local known = redis.call('HMGET', receiver, 'states', 'backlog')
    if string.find(' ' .. (known[1] or '') .. ' ', ' ' .. state .. ' ', 1, true) then
      number = number or next_number(sequence_key)
      local dropped = redis.call('XTRIM', events, 'MAXLEN', known[2] - 1)
      if dropped > 0 then
        redis.call('HINCRBY', receiver, 'dropped', dropped)
        redis.call('HSET', receiver, 'last_lost_at', now_unix)
      end
      redis.call('XADD', events, '*', 'event', number, 'job', id,
        unpack(redis.call('HGETALL', job)))
      redis.call('EXPIRE', events, UNSENT_SECONDS)
    end
  end
end
