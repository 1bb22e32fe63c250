-- Enqueue a job, once per id.
--
-- args    field, value, … of the job
-- Result  {sequence} of the job created, or the hash of the job that is there as field, value, …
local TRIM_EVERY = 16
if redis.call('EXISTS', job) == 1 then
  return redis.call('HGETALL', job)
end

local function forget(ids)
  redis.call('ZREM', finished, unpack(ids))
  redis.call('ZREM', all, unpack(ids))
  for state, index in pairs(in_state) do
    if is_final(state) then
      redis.call('ZREM', index, unpack(ids))
    end
  end
end

local sequence = redis.call('INCR', sequence_key)
-- The hashes expire by themselves, the indexes are trimmed here, a bounded part at a time.
if sequence % TRIM_EVERY == 0 then
  local expired = redis.call('ZRANGEBYSCORE', finished, '-inf', now_unix, 'LIMIT', 0, 10 * TRIM_EVERY)
  if #expired > 0 then
    forget(expired)
  end
end

if redis.call('ZADD', all, sequence, id) == 0 then
  forget({id})  -- An expired job of the same id, not trimmed yet.
  redis.call('ZADD', all, sequence, id)
end
redis.call('ZADD', in_state.queued, sequence, id)
redis.call('HSET', job, 'sequence', sequence, unpack(args))
announce('queued', 0)
return {sequence}
