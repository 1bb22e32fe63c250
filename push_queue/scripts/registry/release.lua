-- Wake jobs that wait for registries, by priority and then in the order of enqueueing. After a pause
-- one job tries the registry. Once it answers, as many follow as it has room for.
--
-- KEYS    1 push:waiting   2 arq's queue
-- ARGV    1 namespace   2 blob uploads that a registry takes at once   3 what tells a job's team
--         4.. priority, lead in milliseconds, …
-- Result  how many were woken
local max_uploads, teams_by = tonumber(ARGV[2]), ARGV[3]
local leads = leads_in(ARGV, 4)

-- How many jobs the registry takes now, and the position of the first of them in the list.
local function room(registry, waiting)
  if paused_by_person(namespace .. ':registry:paused', registry) then
    return 0, 0
  end
  local pause = pause_of(registry)
  if not pause then
    return max_uploads - uploads_to(registry), 0
  end
  if pause.left > 0 then
    return 0, 0
  end
  -- They take turns, since one particular job may be what the registry cannot take.
  return 1, (redis.call('HINCRBY', pause_key(registry), 'turns', 1) - 1) % waiting
end

-- Put the job before all of its priority and team that are enqueued from now on. `place` is 0 for the
-- last one that is woken, and less for those before it. False if it no longer waits.
local function wake(id, place)
  local record = redis.pcall('HMGET', namespace .. ':job:' .. id, 'state', 'generation', 'priority',
    'labels', 'enqueued_by')
  if record.err or not record[2] or record[1] ~= 'queued' and record[1] ~= 'retrying' then
    return false
  end
  local name = namespace .. ':' .. id .. ':' .. record[2]
  local due = tonumber(redis.call('ZSCORE', KEYS[2], name) or 0)
  if due > now_ms then
    local team = {labels = record[4] or nil, enqueued_by = record[5]}
    redis.call('ZADD', KEYS[2], 'XX', score_in(band_for(team, teams_by, namespace .. ':jobs:teams'),
      now_ms - (leads[record[3]] or leads.normal) + place), name)
    local priority = leads[record[3]] and record[3] or 'normal'
    redis.call('ZADD', namespace .. ':jobs:due:' .. priority, 'NX', now_ms, id)
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
    -- A job that was woken stays in the list until it starts, and may be woken again.
    local count, first = room(registry, waiting)
    local ids = count > 0 and redis.call('ZRANGE', key, first, first + count - 1) or {}
    for place, id in ipairs(ids) do
      if wake(id, place - #ids) then
        woken = woken + 1
      else
        redis.call('ZREM', key, id)
      end
    end
  end
end
return woken
