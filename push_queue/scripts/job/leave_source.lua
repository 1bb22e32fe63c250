-- This job, all of whose targets are done, needs its source no longer.
--
-- args    1 what is to be deleted when the last unfinished job has left, or ''
-- Result  {1, what earlier ones asked to be deleted, …} when this was the last, {0} when it was
--         not; false when targets are left
local record = read('source', 'targets', 'state')
local targets = targets_of(record)
if not record.state or not targets then
  return false
end
for _, target in ipairs(targets) do
  if redis.call('HEXISTS', job, 'result:' .. target) == 0 then
    return false
  end
end
local users, unwanted = source_keys(record.source)
redis.call('SREM', users, id)
for _, other in ipairs(redis.call('SMEMBERS', users)) do
  local state = redis.pcall('HGET', namespace .. ':job:' .. other, 'state')
  -- Its record was lost, or something else has its key.
  if type(state) ~= 'string' or is_final(state) then
    redis.call('SREM', users, other)
  end
end
if redis.call('EXISTS', users) == 0 then
  local files = redis.call('SMEMBERS', unwanted)
  redis.call('DEL', unwanted)
  return {1, unpack(files)}
end
if args[1] ~= '' then
  redis.call('SADD', unwanted, args[1])
  redis.call('EXPIRE', unwanted, keep)
end
return {0}
