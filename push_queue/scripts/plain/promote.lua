-- Give postponed jobs that are due now the place in the queue of their priority.
--
-- KEYS    1 arq's queue
-- ARGV    1 namespace   2 lead of the lowest priority, in milliseconds
--         3.. priority, lead in milliseconds, …
-- Result  how many there were
local namespace, least = ARGV[1], tonumber(ARGV[2])
local MOST = 500
local leads = leads_in(ARGV, 3)
-- All others have their place already, or are not due.
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '(' .. now_ms - least, now_ms, 'WITHSCORES',
  'LIMIT', 0, MOST)
for i = 1, #due, 2 do
  local id = string.match(due[i], '^' .. string.gsub(namespace, '%W', '%%%0') .. ':(.*):%d+$')
  -- An error if the job's key holds something other than a hash.
  local priority = redis.pcall('HGET', namespace .. ':job:' .. (id or ''), 'priority')
  redis.call('ZADD', KEYS[1], 'XX', due[i + 1] - (leads[priority or 'normal'] or least), due[i])
end
return #due / 2
