-- Record the attempt's progress, and publish it.
--
-- args    1 fence   2 bytes_done   3 bytes_total   4 blobs_done   5 blobs_total
--         6 bytes_sent   7 bytes_saved   8 bytes_per_second   9 seconds_left or ''
--         10.. digest, "done/size how", …
-- Result  'continue', 'cancel' or 'lost'
local record = read('state', 'fence', 'cancel_requested', 'attempt', 'probing', 'targets',
  'most_bytes', 'most_blobs', 'bytes_sent')
if record.state ~= 'running' or record.fence ~= args[1] then
  return 'lost'
end

-- Whether all targets are at one registry, which then must be the one that has answered.
local function one_registry()
  local targets = targets_of(record) or {}
  for _, target in ipairs(targets) do
    if registry_of(target) ~= registry_of(targets[1]) then
      return false
    end
  end
  return true
end

redis.call('HSET', job, 'bytes_done', args[2], 'bytes_total', args[3],
  'blobs_done', args[4], 'blobs_total', args[5], 'bytes_sent', args[6], 'bytes_saved', args[7],
  'bytes_per_second', args[8])
if args[9] ~= '' then
  redis.call('HSET', job, 'seconds_left', args[9])
else
  redis.call('HDEL', job, 'seconds_left')
end
local sent = args[6] - (tonumber(record.bytes_sent) or 0)
count('bytes_sent', sent)
add_up('bytes_sent', sent)
if #args > 9 then
  redis.call('HSET', blobs, unpack(args, 10))
  -- Not when the job ends: most jobs end without any.
  redis.call('EXPIRE', blobs, keep)
end
-- The most of all attempts: a registry that accepts the same bytes again makes no progress.
local most_bytes = math.max(args[2], tonumber(record.most_bytes or 0) or 0)
local most_blobs = math.max(args[4], tonumber(record.most_blobs or 0) or 0)
if most_bytes ~= tonumber(record.most_bytes or 0)
  or most_blobs ~= tonumber(record.most_blobs or 0) then
  redis.call('HSET', job, 'most_bytes', string.format('%.0f', most_bytes),
    'most_blobs', most_blobs)
  restore_patience()
end
local answered = args[2] ~= '0' or args[4] ~= '0'
-- With several registries, each target that is done ends the pause of its own: see end_turn.lua.
if answered and record.probing and one_registry() then
  end_probe(record, true)
end
publish({
  id = id, state = 'running', attempt = tonumber(record.attempt),
  bytes_done = tonumber(args[2]), bytes_total = tonumber(args[3]),
  blobs_done = tonumber(args[4]), blobs_total = tonumber(args[5]),
  bytes_sent = tonumber(args[6]), bytes_saved = tonumber(args[7]),
  bytes_per_second = tonumber(args[8]), seconds_left = tonumber(args[9]),
})
return record.cancel_requested and 'cancel' or 'continue'
