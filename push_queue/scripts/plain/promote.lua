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
local leads = leads_in(ARGV, 4)
-- All others have their place already, or are not due.
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now_ms - least, now_ms, 'WITHSCORES',
  'LIMIT', 0, MOST)
for i = 1, #due, 2 do
  local id = string.match(due[i], '^' .. string.gsub(namespace, '%W', '%%%0') .. ':(.*):%d+$')
  local priority, labels, caller = unpack(redis.pcall('HMGET', namespace .. ':job:' .. (id or ''),
    'priority', 'labels', 'enqueued_by'))
  -- Not there if the job's key holds something other than a hash.
  local record = {labels = labels or nil, enqueued_by = caller}
  redis.call('ZADD', KEYS[1], 'XX', score_in(band_for(record, teams_by, namespace .. ':jobs:teams'),
    due[i + 1] - (leads[priority or 'normal'] or least)), due[i])
end
local runs = redis.call('ZRANDMEMBER', KEYS[2], LOOKED_AT, 'WITHSCORES')
for i = 1, #runs, 2 do
  if runs[i + 1] % BAND <= now_ms then
    redis.call('ZREM', KEYS[2], runs[i])
  end
end
return #due / 2
