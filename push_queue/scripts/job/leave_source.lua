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
-- One that needs the source is enough. There may be thousands.
local other = redis.call('SRANDMEMBER', users)
while other do
  local state = redis.pcall('HGET', namespace .. ':job:' .. other, 'state')
  if type(state) == 'string' and not is_final(state) then
    break
  end
  -- It is over, its record was lost, or its key holds something else.
  redis.call('SREM', users, other)
  other = redis.call('SRANDMEMBER', users)
end
if not other then
  local files = redis.call('SMEMBERS', unwanted)
  redis.call('DEL', unwanted)
  return {1, unpack(files)}
end
if args[1] ~= '' then
  redis.call('SADD', unwanted, args[1])
  redis.call('EXPIRE', unwanted, keep)
end
return {0}
