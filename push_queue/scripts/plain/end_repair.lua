-- End the turn of a repair that the registry has answered. If it had run out, its note stays: a job
-- may have written the tag, and the repair over it.
--
-- KEYS    1 push:tag:{reference}:writer   2 push:writes
-- ARGV    1 token   2 note of the write
-- Result  1; 0 if the turn had run out
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
redis.call('ZREM', KEYS[2], ARGV[2])
return redis.call('DEL', KEYS[1])
