-- End the attempt of the worker that holds the fence.
--
-- args    1 fence   2 state to go to   3 outcome of the attempt   4 error or ''
--         5 error kind or ''   6 milliseconds until the next attempt, if it is put off, or ''
--         7 seconds to wait for registries that are down, unless the job has its own
--         8 registry that the error is of, or ''. Unless the attempt is deferred, it has answered.
--         9.. field, value, … to set besides
-- Result  the job's new state, also if the call was sent twice; false if the job is no longer this
--         worker's
--
-- Some ends lead to another state:
--   succeeded → superseded  newer jobs have written all its tags
--   succeeded → queued      some targets could not be tried yet
--   queued → failed         for an error, once the job has waited for its registries for long enough
--   failed → queued         some targets could not be tried yet, and the error is a registry's: it is
--                           noted for the targets that were tried
local fence, state, outcome = args[1], args[2], args[3]
local error = args[4] ~= '' and args[4] or nil
local error_kind = args[5] ~= '' and args[5] or nil
local record = read('state', 'fence', 'cancel_requested', 'sequence', 'attempt', 'worker',
  'started_at', 'error', 'targets', 'probing', 'held',
  'give_up_after', 'give_up_at', 'progressed_at', 'seconds_run', 'bytes_saved')

if record.fence ~= fence then
  return false
end
if record.state ~= 'running' then
  return record.state
end
-- Before anything is written, since Redis does not roll back.
local targets = targets_of(record)
if not targets or not is_finite(record.sequence) or not is_finite(record.attempt) then
  return redis.error_reply('ERR the record of ' .. id .. ' cannot be read')
end

if state == 'succeeded' then
  local superseded = 0
  for _, target in ipairs(targets) do
    local result = redis.call('HGET', job, 'result:' .. target)
    if not result then
      state, outcome = 'queued', 'deferred'
    elseif result == 'superseded' then
      superseded = superseded + 1
    end
  end
  if superseded == #targets then
    state, outcome = 'superseded', 'superseded'
  end
end
local answered = args[8] ~= '' and outcome ~= 'deferred'
if outcome == 'deferred' and error and not record.cancel_requested
  and patience_left(record, args[7], record.progressed_at or record.started_at) <= 0 then
  state, outcome = 'failed', 'failed'
end
-- The targets that this attempt left out are waited for, and the job fails after them.
local held = state == 'failed' and args[8] ~= '' and strings(record.held) or {}
local given_up = #held > 0
if given_up then
  state = 'queued'
end
if answered then
  end_pause(args[8])
end
if record.probing then
  end_probe(record, outcome == 'succeeded' or outcome == 'superseded')
end

note_time(record)
-- An attempt that only waited is not listed. There may be very many of them.
if error or outcome ~= 'deferred' then
  close_attempt(record, outcome, error, error_kind)
end

local changes, gone = {unpack(args, 9)}, {'probing'}
local function set(field, value)
  table.insert(changes, field)
  table.insert(changes, value)
end
local due = now_ms + (tonumber(args[6]) or 0)
if args[6] ~= '' then
  set('next_attempt_at', timestamp(due))
end

if not is_final(state) and record.cancel_requested then
  state = 'cancelled'
end
if is_final(state) and not is_final(args[2]) then
  changes = {}  -- They were for the next attempt.
end
if given_up then
  local left_out = {}
  for _, target in ipairs(held) do
    left_out[target] = true
  end
  for _, target in ipairs(targets) do
    if not left_out[target] and redis.call('HEXISTS', job, 'result:' .. target) == 0 then
      redis.call('HSETNX', job, 'failure:' .. target, (error_kind or '') .. ' ' .. (error or ''))
    end
  end
end
if outcome == 'released' or outcome == 'deferred' or given_up then
  record.attempt = record.attempt - 1
  set('attempt', record.attempt)
end
set('state', state)
if outcome == 'failed' then
  set('error', error)
  set('error_kind', error_kind)
elseif (state == 'succeeded' or state == 'superseded') and record.error then
  table.insert(gone, 'error')
  table.insert(gone, 'error_kind')
end
if is_final(state) then
  count_end(state, error_kind, record.bytes_saved)
  set('finished_at', now)
  if record.cancel_requested then
    table.insert(gone, 'cancel_requested')
  end
else
  table.insert(gone, 'worker')
end
redis.call('HSET', job, unpack(changes))
redis.call('HDEL', job, unpack(gone))
move(record, state, due)
announce(state, record.attempt)
return state
