-- Collect events for a receiver, and forget receivers that no worker has had for a week.
--
-- KEYS    1 push:webhooks   2 push:webhook:{name}
-- ARGV    1 name   2 fingerprint of its URL   3 seconds until it is forgotten
--         4.. field, value, … to show
-- Result  nothing
redis.call('SADD', KEYS[1], ARGV[1])
if redis.call('HGET', KEYS[2], 'fingerprint') ~= ARGV[2] then
  redis.call('HDEL', KEYS[2], 'gone')
end
redis.call('HSET', KEYS[2], 'fingerprint', ARGV[2], unpack(ARGV, 4))
redis.call('EXPIRE', KEYS[2], ARGV[3])
local prefix = string.sub(KEYS[2], 1, -#ARGV[1] - 1)
for _, name in ipairs(redis.call('SMEMBERS', KEYS[1])) do
  if redis.call('EXISTS', prefix .. name) == 0 then
    redis.call('SREM', KEYS[1], name)
  end
end
