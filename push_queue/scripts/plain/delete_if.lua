-- Delete a key if it holds a value.
--
-- KEYS    1 key
-- ARGV    1 value
-- Result  1 if it did, else 0
if redis.call('GET', KEYS[1]) ~= ARGV[1] then
  return 0
end
return redis.call('DEL', KEYS[1])
