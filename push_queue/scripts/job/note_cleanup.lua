-- Record what happened to the source of a final job.
--
-- args    1 what: `deleted`, `kept: …`
if redis.call('EXISTS', job) == 1 then
  redis.call('HSET', job, 'cleanup_outcome', args[1])
end
