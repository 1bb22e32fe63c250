-- Enqueue a final job again, as a new generation. Other jobs stay as they are.
--
-- args    priority, lead in milliseconds, …
-- Result  the hash as field, value, …; empty if there is no such job
local record = read('state', 'sequence', 'generation', 'priority', 'source')
if not record.state or not is_final(record.state)
  or not tonumber(record.generation) or not tonumber(record.sequence) then
  return redis.call('HGETALL', job)
end

local generation, leads = record.generation + 1, leads_in(args, 1)
local source = (source_keys(record.source or ''))
demand({{'SADD', source, id}})
give_to_arq(generation, now_ms, leads[record.priority] or leads.normal)

local stale = {'digest', 'notes', 'error', 'error_kind', 'worker', 'started_at', 'finished_at',
  'bytes_done', 'bytes_total', 'blobs_done', 'blobs_total', 'give_up_at',
  'cleanup_outcome'}
for _, field in ipairs(redis.call('HKEYS', job)) do
  if string.find(field, '^result:') or string.find(field, '^failure:') then
    table.insert(stale, field)
  end
end
redis.call('HDEL', job, unpack(stale))
redis.call('HSET', job, 'state', 'queued', 'generation', generation, 'attempt', 0,
  'enqueued_at', now)
redis.call('PERSIST', job)
redis.call('SADD', source, id)
redis.call('PERSIST', attempts)
redis.call('UNLINK', blobs)
redis.call('ZREM', finished, id)
move(record, 'queued')
announce('queued', 0)
return redis.call('HGETALL', job)
