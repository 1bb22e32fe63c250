-- All targets of the job are done, so it no longer needs its source.
--
-- args    1 file for the last unfinished job to delete, or ''
-- Result  {1, file that earlier jobs left to delete, …} if this was the last, else {0}; false if
--         targets are left
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
  -- It is over, its record was lost, or its key holds something else.
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
