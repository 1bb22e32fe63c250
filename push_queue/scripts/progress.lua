-- Write down how far the attempt is, and publish it.
--
-- ARGV    6 fence   7 bytes_done   8 bytes_total   9 blobs_done   10 blobs_total
--         11.. digest, "done/size how", …
-- Result  'continue', 'cancel' or 'lost'
local record = read('state', 'fence', 'cancel_requested', 'attempt')
if record.state ~= 'running' or record.fence ~= ARGV[6] then
  return 'lost'
end
redis.call('HSET', job, 'bytes_done', ARGV[7], 'bytes_total', ARGV[8],
  'blobs_done', ARGV[9], 'blobs_total', ARGV[10])
if #ARGV > 10 then
  redis.call('HSET', blobs, unpack(ARGV, 11))
  -- Here rather than when the job ends, which is done for every job and this is not.
  redis.call('EXPIRE', blobs, keep)
end
redis.call('PUBLISH', channel, cjson.encode({
  id = id, state = 'running', attempt = tonumber(record.attempt),
  bytes_done = tonumber(ARGV[7]), bytes_total = tonumber(ARGV[8]),
  blobs_done = tonumber(ARGV[9]), blobs_total = tonumber(ARGV[10]),
}))
return record.cancel_requested and 'cancel' or 'continue'
