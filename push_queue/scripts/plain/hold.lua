-- Keep a job from being taken for so many milliseconds.
--
-- KEYS    1 arq's queue   2 arq's in-progress key of the job
-- ARGV    1 arq's id of the job   2 milliseconds   3 milliseconds of a lease, for which the key
--         lives at most: who wakes the job before is not to find it, when a worker died over it
-- Result  nothing
-- Written rather than prolonged: a worker that had lost this job to us deletes the key when it
-- notices.
redis.call('SET', KEYS[2], '1', 'PX', math.min(ARGV[2], ARGV[3]))
redis.call('ZADD', KEYS[1], 'XX', now_ms + ARGV[2], ARGV[1])
