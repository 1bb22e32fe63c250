-- End the attempt under way, by the worker that holds the fence.
--
-- ARGV    6 fence   7 state to go to   8 outcome of the attempt   9 error or ''
--         10 error kind or ''   11.. field, value, … to set besides
-- Result  1 when done (also by an earlier sending of the same call), 0 when the job is no longer
--         this worker's
local fence, state, outcome = ARGV[6], ARGV[7], ARGV[8]
local error = ARGV[9] ~= '' and ARGV[9] or nil
local error_kind = ARGV[10] ~= '' and ARGV[10] or nil
local record = read('state', 'fence', 'cancel_requested', 'sequence', 'attempt', 'worker',
  'started_at', 'error')

if record.fence ~= fence then
  return 0
end
if record.state ~= 'running' then
  return record.state == state and 1 or 0
end

close_attempt(record, outcome, error, error_kind)

local changes, gone = {unpack(ARGV, 11)}, {}
local function set(field, value)
  table.insert(changes, field)
  table.insert(changes, value)
end

if not is_final(state) and record.cancel_requested then
  state, changes = 'cancelled', {}
end
if outcome == 'released' then
  record.attempt = record.attempt - 1
  set('attempt', record.attempt)
end
set('state', state)
if error then
  set('error', error)
  set('error_kind', error_kind)
elseif state == 'succeeded' and record.error then
  table.insert(gone, 'error')
  table.insert(gone, 'error_kind')
end
if is_final(state) then
  set('finished_at', now)
  if record.cancel_requested then
    table.insert(gone, 'cancel_requested')
  end
else
  table.insert(gone, 'worker')
end
redis.call('HSET', job, unpack(changes))
if #gone > 0 then
  redis.call('HDEL', job, unpack(gone))
end
move(record, state)
announce(state, record.attempt)
return 1
