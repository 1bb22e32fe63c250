-- End the turn to write a tag.
--
-- args    1 target   2 token   3 digest that the tag stands for now, or '' if it was not written
--         4 seconds to remember it
-- Result  'done', or 'late' when the turn had run out before: another job may have written the
--         tag meanwhile, and this one over it
local target, token, digest, keep_tag = args[1], args[2], args[3], args[4]
local tag = namespace .. ':tag:' .. target
if redis.call('GET', tag .. ':writer') ~= token then
  local last = redis.call('HMGET', tag, 'job', 'digest')
  -- Sent a second time, it finds its work done.
  return last[1] == id and last[2] == digest and 'done' or 'late'
end
redis.call('DEL', tag .. ':writer')
if digest == '' then
  return 'done'
end
local sequence = tonumber(redis.call('HGET', job, 'sequence') or 0)
local newest = tonumber(redis.call('HGET', tag, 'sequence') or 0)
redis.call('HSET', tag, 'sequence', math.max(sequence, newest), 'job', id, 'digest', digest)
redis.call('EXPIRE', tag, keep_tag)
if redis.call('HGET', job, 'state') == 'running' then
  redis.call('HSET', job, 'result:' .. target, digest)
end
return 'done'
