-- Jobs that are not final, and that arq neither has in its queue nor runs.
--
-- KEYS    1 push:jobs:{state}   2 arq's queue
-- ARGV    1 namespace   2 position to start at   3 how many to look at
-- Result  {how many were looked at, id, …}
local namespace = ARGV[1]
local ids = redis.call('ZRANGE', KEYS[1], ARGV[2], ARGV[2] + ARGV[3] - 1)
local found = {#ids}
for _, id in ipairs(ids) do
  local generation = redis.call('HGET', namespace .. ':job:' .. id, 'generation')
  local name = namespace .. ':' .. id .. ':' .. (generation or '')
  local queued = redis.call('ZSCORE', KEYS[2], name)
  local record = 'arq:job:' .. name
  if not (queued and redis.call('EXISTS', record) == 1)
    and redis.call('EXISTS', 'arq:in-progress:' .. name) == 0 then
    table.insert(found, id)
  end
end
return found
