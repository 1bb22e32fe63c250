-- What scripts about registries share: pauses, who tries a registry after one, and who waits.
--
-- ARGV  1 namespace
--
-- A pause is a hash: `until` when nobody is to try the registry, in milliseconds of Unix time; the
-- `reason` and the `kind` of the error; the `streak` of failures in a row; `asked_until` where the
-- registry asked for it. After it one job, the `probe`, tries the registry, and until `probe_until`
-- the others wait for how it fares.
local namespace = ARGV[1]

-- A registry that takes connections and says nothing holds a job for as long as its time-out.
local PROBE_MS = 60000

local function pause_key(registry)
  return namespace .. ':registry:' .. registry .. ':pause'
end

-- Of a registry: the jobs that wait for it.
local function waiting_key(registry)
  return namespace .. ':registry:' .. registry .. ':waiting'
end

-- The registry's pause, with the milliseconds that are `left` of it; nil where there is none.
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

-- How many blobs are uploaded to the registry now.
local function uploads_to(registry)
  return redis.call('ZCOUNT', namespace .. ':registry:' .. registry .. ':slots', now_ms, '+inf')
end

-- The job `id` is the one that tries the registry after its pause.
local function start_probe(registry, id)
  redis.call('HSET', pause_key(registry), 'probe', id, 'probe_until', now_ms + PROBE_MS)
end

-- Whether it still is. It is not when a new pause has begun, or when it took too long.
local function is_probe(registry, id)
  return redis.call('HGET', pause_key(registry), 'probe') == id
end

-- Nobody tries the registry any more: another job may.
local function stop_probe(registry)
  redis.call('HDEL', pause_key(registry), 'probe', 'probe_until')
end
