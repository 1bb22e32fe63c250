-- End a job whose record cannot be read, whatever is left of it.
--
-- args    1 what is wrong
-- Result  1 if it was ended; 0 if there was nothing to end
demand(notices())
local record = redis.pcall('HMGET', job, 'state', 'generation', 'attempt', 'waiting_at')
local sequence = redis.call('ZSCORE', all, id) or now_ms
for _, index in pairs(in_state) do
  redis.call('ZREM', index, id)
end
if record.err then
  -- It is not a hash, so it is not ours to change. Only the indexes show that the job failed.
  redis.call('ZADD', all, sequence, id)
  redis.call('ZADD', in_state.failed, sequence, id)
  redis.call('ZADD', finished, 'NX', now_unix + keep, id)
  return 1
end
local state, generation, attempt, waiting_at = unpack(record)
if state and is_final(state) then
  redis.call('ZADD', in_state[state], sequence, id)
  return 0
end
if redis.call('EXISTS', job) == 0 then
  redis.call('ZREM', all, id)
  return 0
end
if generation then
  take_from_arq(generation)
end
redis.call('ZADD', all, sequence, id)
redis.call('HSET', job, 'state', 'failed', 'error', args[1], 'error_kind', 'invalid_job',
  'finished_at', now)
redis.call('HDEL', job, 'cancel_requested', 'waiting_for', 'next_attempt_at', 'probing')
count_end('failed', 'invalid_job')
move({state = 'failed', sequence = sequence, waiting_at = waiting_at}, 'failed')
announce('failed', tonumber(attempt or 0) or 0)
return 1
