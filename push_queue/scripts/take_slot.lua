-- Take one of the blob uploads that a registry takes at once, or renew it.
--
-- KEYS    1 push:registry:{host}:slots   2 push:registry:{host}:pause
-- ARGV    1 token   2 uploads at once   3 milliseconds
-- Result  0 when it is ours, else the milliseconds after which to ask again; below zero when the
--         registry has asked for a pause
local token, limit, ms = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
local ASK_AGAIN_MS = 100
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
if not redis.call('ZSCORE', KEYS[1], token) then
  local paused = tonumber(redis.call('HGET', KEYS[2], 'asked_until') or 0)
  if paused > now then
    return now - paused
  end
  redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now)
  if redis.call('ZCARD', KEYS[1]) >= limit then
    return ASK_AGAIN_MS
  end
end
redis.call('ZADD', KEYS[1], now + ms, token)
redis.call('PEXPIRE', KEYS[1], 2 * ms)
return 0
