-- Take jobs that are due, each for a lease. It gets an in-progress key, as arq sets one, and its
-- place in the queue moves to the end of the lease, out of the way of jobs that wait. Jobs that older
-- workers have left are taken as well, in the order of the places that they had.
--
-- KEYS    1 arq's queue   2 push:newer
-- ARGV    1 how many at most   2 milliseconds of a lease
--         3 newest format that the worker understands
-- Result  arq's id of each, and the score that it had, …
local queue, newer = KEYS[1], KEYS[2]
local most, lease, format = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3]
-- Jobs may be due and in progress: they are being given back, or a worker has another clock.
local PASSED_OVER = 100
local jobs = {}

local function add(items, left_in)
  for i = 1, #items, 2 do
    table.insert(jobs, {name = items[i], score = items[i + 1], left_in = left_in})
  end
end

add(redis.call('ZRANGEBYSCORE', queue, '-inf', now_ms, 'WITHSCORES', 'LIMIT', 0, most + PASSED_OVER))
local formats = redis.call('ZRANGEBYSCORE', newer, '-inf', format)
for _, number in ipairs(formats) do
  local list = newer .. ':' .. number
  local left = redis.call('ZRANGE', list, 0, most + PASSED_OVER - 1, 'WITHSCORES')
  if #left == 0 then
    redis.call('ZREM', newer, number)
  end
  add(left, list)
end
if #formats > 0 then
  table.sort(jobs, function(one, other) return tonumber(one.score) < tonumber(other.score) end)
end

local taken = {}
for _, job in ipairs(jobs) do
  if #taken == 2 * most then
    break
  end
  if job.left_in and not redis.call('ZSCORE', queue, job.name) then
    redis.call('ZREM', job.left_in, job.name) -- It is over.
  elseif redis.call('SET', 'arq:in-progress:' .. job.name, '1', 'NX', 'PX', lease) then
    redis.call('ZADD', queue, 'XX', now_ms + lease, job.name)
    table.insert(taken, job.name)
    table.insert(taken, job.score)
  end
end
return taken
