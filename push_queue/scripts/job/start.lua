-- Begin an attempt: queued | retrying | running → running. The worker of a running job has lost its
-- lease.
--
-- args    1 generation   2 worker   3 token of this call, which may be sent twice
--         4 blob uploads that a registry takes at once   5 seconds of a lease
--         6 seconds to wait for registries that are down, unless the job has its own
--         7 newest format that the worker understands   8 the job's score in arq's queue
--         9 milliseconds for which this worker has reached Redis, at most a lease
-- Result  {'start', targets to push now as JSON, field, value, …}
--         {'wait', milliseconds}: the registries of all targets left are down or have no room, and
--         release.lua may wake the job before; or its worker may yet renew the lease; or it needs a
--         newer worker
--         {'invalid', what is wrong}: the record cannot be read
--         {}: there is nothing to run. The job is unknown, final, or of another generation; or it ends
--         now: it is cancelled, has no attempt left, newer jobs have written its tags, or it has
--         waited for its registries for long enough
local generation, worker, token = args[1], args[2], args[3]
local max_uploads, lease, give_up_after = tonumber(args[4]), tonumber(args[5]), args[6]
local format, place, steady = tonumber(args[7]), args[8], args[9] / 1000
-- A job that is not woken asks again after this time or up to twice as long, so not all at once.
local LOOK_MS = 900000

local record = read_all()
if not record then
  return {'invalid', 'it is not a hash'}
end
if not next(record) or record.state and is_final(record.state)
  or record.generation and record.generation ~= generation then
  return {}
end

-- A newer format may have options that change what the job does. State and fence have the same
-- meaning in all formats.
local newer = (tonumber(record.format) or 1) > format
if record.format and not newer then
  redis.call('ZREM', newer_key(record.format), arq_id(generation))
end

local function finish(state, ...)
  count_end(state, record.error_kind, record.bytes_saved)
  redis.call('HSET', job, 'state', state, 'finished_at', now, ...)
  redis.call('HDEL', job, 'cancel_requested', 'waiting_for', 'next_attempt_at', 'probing')
  move(record, state)
  announce(state, record.attempt)
  return {}
end

local function fail(error, error_kind, ...)
  record.error_kind = error_kind
  return finish('failed', 'error', error, 'error_kind', error_kind, ...)
end

-- A job that its worker has lost waits like any other.
local function put_back()
  redis.call('HSET', job, 'state', 'queued')
  redis.call('HDEL', job, 'worker')
  move(record, 'queued')
  record.state = 'queued'
  announce('queued', record.attempt)
end

-- Seconds since Redis was started. If Redis hides it: NaN, which makes every comparison false.
local function uptime()
  local info = redis.pcall('INFO', 'server')
  return type(info) == 'string' and tonumber(string.match(info, 'uptime_in_seconds:(%d+)')) or 0 / 0
end

local resent = record.state == 'running' and record.token == token
local lost = record.state == 'running' and not resent
local lost_error = lost and 'worker ' .. (record.worker or '?') .. ' stopped reporting'
if lost then
  -- While Redis was down no lease could be renewed, so each worker gets the time of one to do it. A
  -- Redis that hung, or took over, was up all the time. But this worker has missed it.
  local up = math.min(steady, uptime())
  if up < lease then
    return {'wait', (lease - up) * 1000}
  end
  -- A dead worker tries no registry, so another job may, or this one again.
  if record.probing then
    end_probe(record, false)
    record.probing = nil
  end
end

if newer then
  stop_waiting(record) -- Else it would take the place of a job that can run here.
  if lost then
    note_time(record)
    close_attempt(record, 'lost', lost_error, 'worker_lost')
    if record.cancel_requested then
      return finish('cancelled')
    end
    put_back()
  end
  local reason = 'a worker that understands jobs of format ' .. record.format
  if record.waiting_for ~= reason then
    redis.call('HSET', job, 'waiting_for', reason)
    publish({id = id, state = record.state, attempt = tonumber(record.attempt)})
  end
  redis.call('ZADD', newer_key(record.format), 'NX', place, arq_id(generation))
  redis.call('ZADD', namespace .. ':newer', record.format, record.format)
  -- Each look renews it, so that jobs which are over are forgotten.
  redis.call('PEXPIRE', newer_key(record.format), 4 * LOOK_MS)
  redis.call('PEXPIRE', namespace .. ':newer', 4 * LOOK_MS)
  return {'wait', LOOK_MS + time[2] % LOOK_MS}
end

-- What is wrong with the fields that the scripts depend on, if anything is.
local function damage()
  if not in_state[record.state] then
    return 'state: unknown'
  end
  for _, field in ipairs({'generation', 'sequence', 'attempt', 'max_attempts'}) do
    if not is_finite(record[field]) then
      return field .. ': not a number'
    end
  end
  if record.fence and not is_finite(record.fence) then
    return 'fence: not a number'
  end
  if not targets_of(record) then
    return 'targets: not a list in JSON'
  end
end

local damaged = damage()
if damaged then
  return {'invalid', damaged}
end

if lost then
  note_time(record)
  close_attempt(record, 'lost', lost_error, 'worker_lost')
end

-- First of all: its worker may have pushed everything, and died before it could say so.
local left, pushed, failure = targets_left(record)
if #left == 0 then
  if failure then
    local kind, error = string.match(failure, '^(%S*) (.*)$')
    record.attempt = record.attempt + 1 -- The one that gave it up was not used up for the others.
    return fail(error or failure, kind or '', 'attempt', record.attempt)
  end
  redis.call('HDEL', job, 'error', 'error_kind')
  if not pushed then
    return finish('superseded')
  end
  return finish('succeeded', 'digest', pushed)
end
if resent then
  return {'start', cjson.encode(left), unpack(flat(record))}
end
if lost and record.cancel_requested then
  return finish('cancelled')
end
-- An older worker that found it lost has left this to a worker that understands it.
if tonumber(record.attempt) >= tonumber(record.max_attempts) then
  return fail(lost_error or 'its workers stopped reporting', 'worker_lost')
end

stop_waiting(record)
local open, others, held, probing = open_targets(left, max_uploads)
if #open == 0 then
  local wait_ms = LOOK_MS + record.sequence % 100 * LOOK_MS / 100
  local hold, closed = what_holds(others, held)
  local patience = hold.error and patience_left(record, give_up_after, now)
  if patience and patience <= 0 then
    local paused = give_up_some(others, held)
    if #paused == 0 then
      return fail(hold.error, hold.error_kind)
    end
    hold, closed = what_holds(paused, held)
  elseif patience then
    wait_ms = math.min(wait_ms, patience)
  end
  if hold.person then
    redis.call('HDEL', job, 'give_up_at') -- It is not the registry that keeps the job waiting.
  end
  if lost then
    put_back()
  end
  wait_at(record, closed)
  redis.call('HDEL', job, 'next_attempt_at')
  if record.waiting_for ~= hold.why then
    redis.call('HSET', job, 'waiting_for', hold.why)
    publish({id = id, state = record.state, attempt = tonumber(record.attempt)})
  end
  return {'wait', wait_ms}
end

local changes = {
  state = 'running', attempt = record.attempt + 1, fence = (record.fence or 0) + 1,
  token = token, worker = worker, started_at = now,
  bytes_done = 0, bytes_total = 0, blobs_done = 0, blobs_total = 0, bytes_saved = 0,
}
if #probing > 0 then
  changes.probing = cjson.encode(probing)
end
local gone = {}
for _, field in ipairs({'next_attempt_at', 'waiting_for', 'progressed_at', 'held',
  'bytes_per_second', 'seconds_left'}) do
  if record[field] then
    table.insert(gone, field)
    record[field] = nil
  end
end
if #gone > 0 then
  redis.call('HDEL', job, unpack(gone))
end
if changes.fence > 1 then
  redis.call('UNLINK', blobs)
end
if #others > 0 then
  changes.held = cjson.encode(others)
end
redis.call('HSET', job, unpack(flat(changes)))
if record.state ~= 'running' then
  move(record, 'running')
end
announce('running', changes.attempt)
for name, value in pairs(changes) do
  record[name] = value
end
return {'start', cjson.encode(open), unpack(flat(record))}
