-- Take the turn to put a tag's digest back. The write is noted like any other.
--
-- KEYS    1 push:tag:{reference}   2 push:tag:{reference}:writer   3 push:writes
-- ARGV    1 digest to put back   2 token   3 milliseconds   4 note of the write
--         5 milliseconds to watch the tag if the write's outcome stays unknown
-- Result  1; 0 if a job is writing the tag, or has written it since
local digest, token, ms, note, watch_ms = unpack(ARGV)
if redis.call('HGET', KEYS[1], 'digest') ~= digest
  or not redis.call('SET', KEYS[2], token, 'NX', 'PX', ms) then
  return 0
end
redis.call('ZADD', KEYS[3], now_ms + watch_ms, note)
return 1
