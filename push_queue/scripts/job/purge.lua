-- Forget a final job, or one whose key holds something other than a hash. Other jobs stay.
--
-- Result  1 if it is forgotten, else 0
local state = redis.pcall('HGET', job, 'state')
if type(state) == 'string' and not is_final(state) then
  return 0
end
redis.call('UNLINK', job, blobs, attempts)
redis.call('ZREM', all, id)
redis.call('ZREM', finished, id)
for _, index in pairs(in_state) do
  redis.call('ZREM', index, id)
end
return 1
