-- Begin an attempt: queued | retrying | running → running. A job found running is one whose
-- worker lost its lease.
--
-- ARGV    6 generation   7 worker   8 token of this call, so that sending it twice starts once
-- Result  the hash as field, value, …; empty when there is nothing to run: the job is unknown,
--         final or of another generation, was asked to be cancelled, or has no attempt left
local generation, worker, token = ARGV[6], ARGV[7], ARGV[8]
local record = read_all()

if not record.state or is_final(record.state) or record.generation ~= generation then
  return {}
end
if record.state == 'running' and record.token == token then
  return flat(record)
end

local function finish(state, ...)
  redis.call('HSET', job, 'state', state, 'finished_at', now, ...)
  redis.call('HDEL', job, 'cancel_requested')
  move(record, state)
  announce(state, record.attempt)
  return {}
end

if record.state == 'running' then
  local error = 'worker ' .. record.worker .. ' stopped reporting'
  close_attempt(record, 'lost', error, 'worker_lost')
  if record.cancel_requested then
    return finish('cancelled')
  end
  if tonumber(record.attempt) >= tonumber(record.max_attempts) then
    return finish('failed', 'error', error, 'error_kind', 'worker_lost')
  end
end

local changes = {
  state = 'running', attempt = record.attempt + 1, fence = (record.fence or 0) + 1,
  token = token, worker = worker, started_at = now,
  bytes_done = 0, bytes_total = 0, blobs_done = 0, blobs_total = 0,
}
if changes.fence > 1 then
  redis.call('UNLINK', blobs)
  redis.call('HDEL', job, 'next_attempt_at')
  record.next_attempt_at = nil
end
redis.call('HSET', job, unpack(flat(changes)))
if record.state ~= 'running' then
  move(record, 'running')
end
announce('running', changes.attempt)
for name, value in pairs(changes) do
  record[name] = value
end
return flat(record)
