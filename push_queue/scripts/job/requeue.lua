-- Enqueue a final job again, as a new generation. Other jobs stay as they are.
--
-- args    1 the caller, or ''   2 the format of jobs that name one   3.. priority, lead in milliseconds, …
-- Result  the hash as field, value, …; empty if there is no such job
local record = read('state', 'sequence', 'generation', 'priority', 'source', 'fence', 'format',
  'labels', 'enqueued_by')
if not record.state or not is_final(record.state)
  or not tonumber(record.generation) or not tonumber(record.sequence) then
  return redis.call('HGETALL', job)
end

local leads = leads_in(args, 3)
record.generation = record.generation + 1
local source = (source_keys(record.source or ''))
demand({{'SADD', source, id}})
give_to_arq(record, now_ms, leads[record.priority] or leads.normal)

local stale = {'digest', 'notes', 'error', 'error_kind', 'worker', 'started_at', 'finished_at',
  'bytes_done', 'bytes_total', 'blobs_done', 'blobs_total', 'give_up_at',
  'cleanup_outcome', 'retried_by', 'cancelled_by', 'bytes_sent', 'bytes_saved', 'seconds_run'}
for _, field in ipairs(redis.call('HKEYS', job)) do
  if string.find(field, '^result:') or string.find(field, '^failure:') then
    table.insert(stale, field)
  end
end
redis.call('HDEL', job, unpack(stale))
redis.call('HSET', job, 'state', 'queued', 'generation', record.generation, 'attempt', 0,
  'enqueued_at', now)
sign(record, 'retried_by', args[1], args[2])
redis.call('PERSIST', job)
redis.call('SADD', source, id)
redis.call('PERSIST', attempts)
redis.call('UNLINK', blobs)
redis.call('ZREM', finished, id)
move(record, 'queued')
announce('queued', 0)
return redis.call('HGETALL', job)
