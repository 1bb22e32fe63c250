-- Keep all workers from taking a job for a while.
--
-- KEYS    1 arq's queue   2 arq's in-progress key of the job   3 push:teams:running
-- ARGV    1 arq's id of the job   2 milliseconds   3 milliseconds of a lease, the longest time that
--         the key lives: if the worker dies, it must not keep the job from being woken
--         4 the score that a running job had in the queue, or '' for one that is put off
-- Result  nothing
-- The key is written, not prolonged: a worker that has lost this job deletes it once it notices.
redis.call('SET', KEYS[2], '1', 'PX', math.min(ARGV[2], ARGV[3]))
redis.call('ZADD', KEYS[1], 'XX', now_ms + ARGV[2], ARGV[1])
if ARGV[4] ~= '' then
  redis.call('ZADD', KEYS[3], score_in(band_of(tonumber(ARGV[4])), now_ms + ARGV[2]), ARGV[1])
else
  redis.call('ZREM', KEYS[3], ARGV[1])
end
