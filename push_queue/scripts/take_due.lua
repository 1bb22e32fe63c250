-- Take jobs that are due, for one lease each: an in-progress key, as arq sets one, and a place in the
-- queue at the end of the lease, out of the way of jobs that wait.
--
-- KEYS    1 arq's queue
-- ARGV    1 how many at most   2 milliseconds of a lease
-- Result  arq's id of each, and the score that it had, …
local most, lease = tonumber(ARGV[1]), tonumber(ARGV[2])
-- Jobs that are due and in progress are being given back just now, or a worker has another clock.
local PASSED_OVER = 100
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local due = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now, 'WITHSCORES',
  'LIMIT', 0, most + PASSED_OVER)
local taken = {}
for i = 1, #due, 2 do
  if #taken == 2 * most then
    break
  end
  if redis.call('SET', 'arq:in-progress:' .. due[i], '1', 'NX', 'PX', lease) then
    redis.call('ZADD', KEYS[1], 'XX', now + lease, due[i])
    table.insert(taken, due[i])
    table.insert(taken, due[i + 1])
  end
end
return taken
