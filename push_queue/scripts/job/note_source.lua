-- Note what the job's source is, unless an earlier attempt has.
--
-- args    1 fence   2 what it is
-- Result  what is noted; false if the job is no longer this worker's
local record = read('state', 'fence', 'source_seen')
if record.state ~= 'running' or record.fence ~= args[1] then
  return false
end
if not record.source_seen then
  redis.call('HSET', job, 'source_seen', args[2])
end
return record.source_seen or args[2]
