-- Enqueue a job, once per id.
--
-- ARGV    6.. field, value, … of the job
-- Result  {1 when it was created, else 0; the hash as field, value, …}
if redis.call('EXISTS', job) == 1 then
  return {0, redis.call('HGETALL', job)}
end

local function forget(ids)
  redis.call('ZREM', finished, unpack(ids))
  redis.call('ZREM', all, unpack(ids))
  for _, state in ipairs({'succeeded', 'failed', 'cancelled'}) do
    redis.call('ZREM', in_state[state], unpack(ids))
  end
end

-- The hashes expire by themselves, the indexes are trimmed here, a bounded part at a time.
local expired = redis.call('ZRANGEBYSCORE', finished, '-inf', now_unix, 'LIMIT', 0, 100)
if #expired > 0 then
  forget(expired)
end

local sequence = redis.call('INCR', sequence_key)
if redis.call('ZADD', all, sequence, id) == 0 then
  forget({id})  -- An expired job of the same id, not trimmed yet.
  redis.call('ZADD', all, sequence, id)
end
redis.call('ZADD', in_state.queued, sequence, id)
redis.call('HSET', job, 'state', 'queued', 'sequence', sequence, 'generation', 0,
  'attempt', 0, 'enqueued_at', now, unpack(ARGV, 6))
announce('queued', 0)
return {1, redis.call('HGETALL', job)}
