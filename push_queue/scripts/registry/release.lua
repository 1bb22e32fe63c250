-- Jobs that wait for a registry get their places in the queue back, by priority and then in the order
-- of enqueueing: one that tries it after a pause, and once it is well again as many as it has room
-- for.
--
-- KEYS    1 push:waiting   2 arq's queue
-- ARGV    1 namespace   2 blob uploads that a registry takes at once   3.. priority, lead in
--         milliseconds, …
-- Result  how many there were
local max_uploads = tonumber(ARGV[2])
local leads = leads_in(ARGV, 3)

-- How many jobs the registry takes now, and how many of those that wait come after that.
local function room(registry, waiting)
  local pause = pause_of(registry)
  if not pause then
    return max_uploads - uploads_to(registry), 0
  end
  if pause.left > 0 then
    return 0, 0
  end
  -- They take turns: what holds the registry up may be one job's own.
  return 1, (redis.call('HINCRBY', pause_key(registry), 'turns', 1) - 1) % waiting
end

-- Whether the job still waits; then it is in the queue before whatever is enqueued now.
local function wake(id, place)
  local record = redis.pcall('HMGET', namespace .. ':job:' .. id, 'state', 'generation', 'priority')
  if record.err or not record[2] or record[1] ~= 'queued' and record[1] ~= 'retrying' then
    return false
  end
  local name = namespace .. ':' .. id .. ':' .. record[2]
  local due = tonumber(redis.call('ZSCORE', KEYS[2], name) or 0)
  if due > now_ms then
    redis.call('ZADD', KEYS[2], 'XX', now_ms - (leads[record[3]] or leads.normal) + place, name)
  end
  return true
end

local woken = 0
for _, registry in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  local key = waiting_key(registry)
  local waiting = redis.call('ZCARD', key)
  if waiting == 0 then
    redis.call('SREM', KEYS[1], registry)
  else
    -- A job that is woken stays on the list until it starts: one that did not hear is woken again.
    local count, first = room(registry, waiting)
    local ids = count > 0 and redis.call('ZRANGE', key, first, first + count - 1) or {}
    for place, id in ipairs(ids) do
      if wake(id, place) then
        woken = woken + 1
      else
        redis.call('ZREM', key, id)
      end
    end
  end
end
return woken
