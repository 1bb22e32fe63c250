-- Take finished jobs whose hashes have expired out of the indexes.
--
-- KEYS    1 push:finished   2.. push:jobs, and push:jobs:{state} of each final state
-- ARGV    1 how many at most
-- Result  how many there were
-- Seconds are rounded down there, so a hash lives for up to one longer. Until then the job may be
-- enqueued again.
local expired = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now_unix - 2, 'LIMIT', 0, ARGV[1])
for _, index in ipairs(#expired > 0 and KEYS or {}) do
  redis.call('ZREM', index, unpack(expired))
end
return #expired
