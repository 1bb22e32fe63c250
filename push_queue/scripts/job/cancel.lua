-- Cancel a job: at once if it waits, by its worker if it runs. A final job stays as it is.
--
-- args    1 the caller, or ''   2 the format of jobs that name one
-- Result  the job's state; false if there is no such job
local record = read('state', 'sequence', 'attempt', 'generation', 'waiting_at', 'source', 'fence',
  'format', 'cancel_requested')
if not record.state or is_final(record.state) then
  return record.state or false
end
if record.state == 'running' then
  if not record.cancel_requested then
    redis.call('HSET', job, 'cancel_requested', 1)
    sign(record, 'cancelled_by', unpack(args))
  end
  return 'running'
end
local name = arq_id(record.generation)
demand({
  {'DEL', 'arq:job:' .. name, 'arq:retry:' .. name},
  {'SREM', (source_keys(record.source or '')), id},
  {'PUBLISH', namespace .. ':progress:' .. id, ''},
})
demand(notices())
if record.waiting_at then
  demand({{'ZREM', waiting_key(record.waiting_at), id}})
end
take_from_arq(record.generation)
redis.call('HSET', job, 'state', 'cancelled', 'finished_at', now)
redis.call('HDEL', job, 'next_attempt_at', 'waiting_for')
sign(record, 'cancelled_by', unpack(args))
move(record, 'cancelled')
announce('cancelled', record.attempt)
return 'cancelled'
