-- Renew the turn to write a tag, and the note of the write with it. A turn that has run out is not
-- taken again: another job may have had one since, and `end_turn` must notice that.
--
-- KEYS    1 push:tag:{reference}:writer   2 push:writes
-- ARGV    1 token   2 milliseconds   3 note of the write   4 milliseconds to watch it
-- Result  1; 0 if it had run out
local token, ms, note, watch_ms = unpack(ARGV)
if redis.call('GET', KEYS[1]) ~= token then
  return 0
end
redis.call('ZADD', KEYS[2], 'XX', now_ms + watch_ms, note)
return redis.call('PEXPIRE', KEYS[1], ms)
