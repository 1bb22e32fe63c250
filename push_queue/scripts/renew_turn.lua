-- Renew the turn to write a tag. One that has run out is not taken anew: another job may have had
-- its turn since, and `end_turn` is to find that out.
--
-- KEYS    1 push:tag:{reference}:writer
-- ARGV    1 token   2 milliseconds
-- Result  1, or 0 when it had run out
if redis.call('GET', KEYS[1]) == ARGV[1] then
  return redis.call('PEXPIRE', KEYS[1], ARGV[2])
end
return 0
