-- Take the turn to write one of the job's tags. From now on the write may arrive at the registry, so
-- it is noted first.
--
-- args    1 fence   2 target   3 token   4 milliseconds   5 note of the write
--         6 milliseconds to watch the tag if the write's outcome stays unknown
-- Result  'write'       it is ours for that time
--         'wait'        another job is writing the tag
--         'superseded'  a job enqueued later has written it; noted as this target's result, unless
--                       the job is no longer this worker's
--         'lost'        the job is no longer this worker's
local fence, target, token, ms, note, watch_ms = unpack(args)
local record = read('state', 'fence', 'sequence', 'ordered')
local ours = record.state == 'running' and record.fence == fence
local tag = namespace .. ':tag:' .. target
local newest = redis.call('HGET', tag, 'sequence')
if record.ordered ~= 'false' and newest
  and tonumber(newest) > tonumber(record.sequence or newest) then
  if ours then
    redis.call('HSET', job, 'result:' .. target, 'superseded')
  end
  return 'superseded'
end
if not ours then
  return 'lost'
end
local writer = redis.call('GET', tag .. ':writer')
if writer and writer ~= token then
  return 'wait'
end
redis.call('SET', tag .. ':writer', token, 'PX', ms)
if record.ordered ~= 'false' then
  redis.call('ZADD', namespace .. ':writes', now_ms + watch_ms, note)
end
return 'write'
