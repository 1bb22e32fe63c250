-- The job waits for a worker, or for its registries, of which it may be the probe.

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
