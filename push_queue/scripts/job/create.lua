-- Enqueue a job, once per id.
--
-- args    1 earliest start, in milliseconds of Unix time   2 earliest start, in milliseconds from now
--         3 lead of its priority, in milliseconds   4.. field, value, … of the job
-- Result  {1 if it was created else 0, field, value, … of the job that has the id}; {0} if its key
--         holds something other than a hash
if redis.call('EXISTS', job) == 1 then
  return {0, unpack(flat(read_all() or {}))}
end

local fields = {generation = 0}
for i = 4, #args, 2 do
  fields[args[i]] = args[i + 1]
end
local source = (source_keys(fields.source))
local due = math.max(tonumber(args[1]), now_ms + tonumber(args[2]))
demand({{'SADD', source, id}})
give_to_arq(fields, due, args[3])

local sequence = next_number(sequence_key)
if redis.call('ZADD', all, sequence, id) == 0 then
  -- An expired job had the same id.
  redis.call('ZREM', finished, id)
  for _, index in pairs(in_state) do
    redis.call('ZREM', index, id)
  end
end
redis.call('ZADD', in_state.queued, sequence, id)
wait_for_worker(fields.priority, due)
if due > now_ms then
  redis.call('HSET', job, 'next_attempt_at', timestamp(due))
end
redis.call('HSET', job, 'state', 'queued', 'sequence', sequence, 'generation', 0, 'attempt', 0,
  'enqueued_at', now, unpack(args, 4))
redis.call('SADD', source, id)
announce('queued', 0)
return {1, unpack(redis.call('HGETALL', job))}
