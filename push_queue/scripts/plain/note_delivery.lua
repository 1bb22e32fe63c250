-- Note what came of sending an event.
--
-- KEYS    1 push:webhook:{name}   2 push:webhook:{name}:events
-- ARGV    1 delivered, failed or given_up   2 the event's place, if it is over, or ''
--         3 why it failed, or ''
-- Result  nothing
-- The event first: a Redis without memory takes nothing new, but goes on where it has made room.
if ARGV[2] ~= '' then
  redis.call('XDEL', KEYS[2], ARGV[2])
end
redis.call('HINCRBY', KEYS[1], ARGV[1], 1)
if ARGV[3] == '' then
  redis.call('HSET', KEYS[1], 'last_success_at', now_unix)
else
  redis.call('HSET', KEYS[1], 'last_failure_at', now_unix, 'last_failure', ARGV[3])
end
if ARGV[1] == 'given_up' then
  redis.call('HSET', KEYS[1], 'last_lost_at', now_unix)
end
