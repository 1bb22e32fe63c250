-- Find jobs in a state that is not final which arq neither has in its queue nor runs.
--
-- KEYS    1 push:jobs:{state}   2 arq's queue
-- ARGV    1 namespace   2 position to start at   3 how many to look at
-- Result  {how many were looked at, id, …}
local namespace = ARGV[1]
local ids = redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[2] + ARGV[3] - 1)
local found = {#ids}
if #ids == 0 then
  return found
end

-- Most jobs are of generation 0 and in the queue, so those are looked up first, all at once.
local names, records = {}, {}
for i, id in ipairs(ids) do
  names[i] = namespace .. ':' .. id .. ':0'
end
local places, suspects = redis.call('ZMSCORE', KEYS[2], unpack(names)), {}
for i, id in ipairs(ids) do
  if places[i] then
    table.insert(records, 'arq:job:' .. names[i])
  else
    table.insert(suspects, id)
  end
end
if #records > 0 and redis.call('EXISTS', unpack(records)) < #records then
  suspects = ids
end

for _, id in ipairs(suspects) do
  -- Not a string if the job's key holds something other than a hash.
  local generation = redis.pcall('HGET', namespace .. ':job:' .. id, 'generation')
  local name = namespace .. ':' .. id .. ':' .. (type(generation) == 'string' and generation or '')
  local queued = redis.call('ZSCORE', KEYS[2], name)
  local record = 'arq:job:' .. name
  if not (queued and redis.call('EXISTS', record) == 1)
    and redis.call('EXISTS', 'arq:in-progress:' .. name) == 0 then
    table.insert(found, id)
  end
end
return found
