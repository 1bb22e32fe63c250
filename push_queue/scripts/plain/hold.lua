-- Keep all workers from taking a job for a while.
--
-- KEYS    1 arq's queue   2 arq's in-progress key of the job   3 push:teams:running
--         4 push:job:{id}
-- ARGV    1 arq's id of the job   2 milliseconds   3 milliseconds of a lease, in which the worker ends
--         with the job or dies; longer it must not keep the job from being woken
--         4 the score that a running job had in the queue, or '' for one that is put off
--         5 the job's generation
-- Result  nothing
local UNFINISHED = {queued = true, retrying = true, running = true}
-- The key is written, not prolonged: a worker that has lost this job deletes it once it notices.
redis.call('SET', KEYS[2], '1', 'PX', ARGV[3])
local due = now_ms + ARGV[2]
if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[3], score_in(band_of(tonumber(ARGV[4])), due), ARGV[1])
else
  redis.call('ZREM', KEYS[3], ARGV[1])
  -- An error if the key holds something other than a hash.
  local record = redis.pcall('HMGET', KEYS[4], 'state', 'generation')
  if record[2] ~= ARGV[5] or not UNFINISHED[record[1]] then
    due = now_ms -- It is over since the worker asked, so whoever takes it next drops it.
  end
end
redis.call('ZADD', KEYS[1], 'XX', due, ARGV[1])
