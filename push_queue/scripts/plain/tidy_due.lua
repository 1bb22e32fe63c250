-- Take jobs that no longer wait for a worker out of the lists of those that do. Workers from before
-- these lists leave them there.
--
-- KEYS    1.. push:jobs:due:{priority}
-- ARGV    1 namespace   2 how many of each list to look at, the ones that wait for longest
-- Result  how many were taken out
local namespace, most = ARGV[1], tonumber(ARGV[2])
local gone = 0
for _, list in ipairs(KEYS) do
  for _, id in ipairs(redis.call('ZRANGE', list, 0, most - 1)) do
    -- An error if the job's key holds something other than a hash.
    local state = redis.pcall('HGET', namespace .. ':job:' .. id, 'state')
    if state ~= 'queued' and state ~= 'retrying' then
      gone = gone + redis.call('ZREM', list, id)
    end
  end
end
return gone
