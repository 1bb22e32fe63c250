-- End the turn to write a tag.
--
-- args    1 target   2 token   3 digest that the tag has now, or '' if it was not written
--         4 seconds to remember it   5 note of the write
--         6 milliseconds from now for which the tag is watched, if need be
--         7 '1' if no request of this turn can arrive any more, else '0'
-- Result  'done'; 'late' if the turn had run out: another job may have written the tag, and this one
--         over it
local target, token, digest, keep_tag, note, watch_ms, settled = unpack(args)
local tag, writes = namespace .. ':tag:' .. target, namespace .. ':writes'
local record = read('state', 'sequence', 'ordered')
local late = redis.call('GET', tag .. ':writer') ~= token
if late and redis.call('HGET', tag, 'token') == token then
  return 'done' -- The call was sent twice.
end
if not late and settled == '1' then
  redis.call('ZREM', writes, note)
elseif record.ordered ~= 'false' then
  redis.call('ZADD', writes, now_ms + watch_ms, note)
end
if late then
  return 'late'
end
redis.call('DEL', tag .. ':writer')
if digest == '' then
  return 'done'
end
local newest = tonumber(redis.call('HGET', tag, 'sequence') or 0)
redis.call('HSET', tag, 'sequence', math.max(tonumber(record.sequence or 0), newest),
  'job', id, 'digest', digest, 'token', token)
redis.call('EXPIRE', tag, keep_tag)
if record.state == 'running' then
  redis.call('HSET', job, 'result:' .. target, digest)
  restore_patience()
  end_pause(registry_of(target))
end
return 'done'
