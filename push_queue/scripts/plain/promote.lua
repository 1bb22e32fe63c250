-- Give postponed jobs that are due now the place in the queue of their priority. Besides, forget some
-- jobs that no worker runs any more.
--
-- KEYS    1 arq's queue   2 push:teams:running
-- ARGV    1 namespace   2 lead of the lowest priority, in milliseconds   3 what tells a job's team
--         4.. priority, lead in milliseconds, …
-- Result  how many there were
local namespace, least, teams_by = ARGV[1], tonumber(ARGV[2]), ARGV[3]
local MOST = 500
local LOOKED_AT = 10
local promoted = promote(KEYS[1], namespace, teams_by, leads_in(ARGV, 4), least, MOST)
local runs = redis.call('ZRANDMEMBER', KEYS[2], LOOKED_AT, 'WITHSCORES')
for i = 1, #runs, 2 do
  if runs[i + 1] % BAND <= now_ms then
    redis.call('ZREM', KEYS[2], runs[i])
  end
end
return promoted
