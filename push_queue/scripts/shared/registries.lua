-- What scripts about registries share: pauses, probes, and the jobs that wait.
--
-- ARGV  1 namespace
--
-- A pause is a hash. It lasts `until` then, in milliseconds of Unix time. It has the `reason` and the
-- `kind` of the error, the `streak` of failures in a row, and `asked_until` if the registry asked for
-- it. The first of the pauses in a row began at `since`. After a pause one job, the `probe`, tries the
-- registry. Until `probe_until` the others wait.
local namespace = ARGV[1]

-- As long as the time-out of a registry that accepts connections but does not answer.
local PROBE_MS = 60000

local function pause_key(registry)
  return namespace .. ':registry:' .. registry .. ':pause'
end

-- The jobs that wait for the registry.
local function waiting_key(registry)
  return namespace .. ':registry:' .. registry .. ':waiting'
end

-- The registry's pause, with the milliseconds that are `left` of it; nil if there is none.
local function pause_of(registry)
  local pause = redis.call('HMGET', pause_key(registry),
    'until', 'probe_until', 'reason', 'kind', 'asked_until')
  if not pause[1] then
    return nil
  end
  local ends = tonumber(pause[1])
  return {
    left = math.max(ends, tonumber(pause[2] or 0)) - now_ms,
    reason = pause[3], kind = pause[4] or 'registry_unavailable',
    asked = tonumber(pause[5] or 0) >= ends,
  }
end

local MOST_REMEMBERED = 1000
local REMEMBERED_MS = 24 * 3600 * 1000

-- Remember when the registry was last sent a blob, or paused.
local function note_use(registry)
  local used = namespace .. ':registry:used'
  if redis.call('ZADD', used, now_ms, registry) == 1 then
    redis.call('ZREMRANGEBYRANK', used, 0, -MOST_REMEMBERED - 1)
  end
  redis.call('PEXPIRE', used, REMEMBERED_MS)
end

-- How many blobs are being uploaded to the registry.
local function uploads_to(registry)
  return redis.call('ZCOUNT', namespace .. ':registry:' .. registry .. ':slots', now_ms, '+inf')
end

-- Make the job `id` the probe.
local function start_probe(registry, id)
  redis.call('HSET', pause_key(registry), 'probe', id, 'probe_until', now_ms + PROBE_MS)
end

-- Whether the job is the probe. It is not if a new pause has begun, or if it took too long.
local function is_probe(registry, id)
  return redis.call('HGET', pause_key(registry), 'probe') == id
end

-- There is no probe any more, so that another job may be it.
local function stop_probe(registry)
  redis.call('HDEL', pause_key(registry), 'probe', 'probe_until')
end
