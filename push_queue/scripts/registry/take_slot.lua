-- Take one of the blob uploads that a registry takes at once, or renew it.
--
-- KEYS    1 push:registry:{host}:slots   2 push:registry:{host}:pause   3 push:registry:paused
-- ARGV    1 namespace   2 token   3 uploads at once   4 milliseconds   5 registry
-- Result  0 if it is ours, else the milliseconds after which to ask again; below zero if the
--         registry has asked for a pause, or a person has paused it
local token, limit, ms = ARGV[2], tonumber(ARGV[3]), tonumber(ARGV[4])
local ASK_AGAIN_MS = 100
local LOOK_MS = 1000
if not redis.call('ZSCORE', KEYS[1], token) then
  local paused = tonumber(redis.call('HGET', KEYS[2], 'asked_until') or 0)
  if paused > now_ms then
    return now_ms - paused
  end
  if paused_by_person(KEYS[3], ARGV[5]) then
    return -LOOK_MS
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now_ms)
  if redis.call('ZCARD', KEYS[1]) >= limit then
    return ASK_AGAIN_MS
  end
end
redis.call('ZADD', KEYS[1], now_ms + ms, token)
redis.call('PEXPIRE', KEYS[1], 2 * ms)
note_use(ARGV[5])
return 0
