-- Take jobs that are due, each for a lease. It gets an in-progress key, as arq sets one, and its
-- place in the queue moves to the end of the lease, out of the way of jobs that wait. Jobs that older
-- workers have left are taken as well, in the order of the places that they had.
--
-- Each is of the team that runs the fewest jobs. Among equals it is the first by its place, where a
-- team that has just had its turn comes after the others. Jobs without a team are those of one more.
--
-- KEYS    1 arq's queue   2 push:newer   3 push:teams:running   4 push:teams:turns
--         5 push:registry:paused
-- ARGV    1 how many at most   2 milliseconds of a lease
--         3 newest format that the worker understands   4 lead of the lowest priority, in milliseconds
--         5 the worker   6 namespace   7 what tells a job's team   8.. priority, lead, …
-- Result  arq's id of each, and the score that it had, …; 'drained' alone if the worker is to take no
--         job any more
local queue, newer, running, turns = unpack(KEYS)
local most, lease, format, least = tonumber(ARGV[1]), tonumber(ARGV[2]), ARGV[3], tonumber(ARGV[4])
-- Jobs may be due and in progress: they are being given back, or a worker has another clock.
local PASSED_OVER = 100
-- Teams to choose from. If there are more, another choice of them each time.
local MOST_BANDS = 20
local DAY_SECONDS = 86400

if paused_by_person(KEYS[5], 'worker/' .. ARGV[5]) then
  return {'drained'}
end
if paused_by_person(KEYS[5], '*') then
  return {}
end

-- A postponed job whose time has come is not taken before it is among those of its team.
promote(queue, ARGV[6], ARGV[7], leads_in(ARGV, 8), least, most + PASSED_OVER)
local last_place = now_ms - least

local bands, band_by_number = {}, {}

-- The band with that number, whose first job has that place.
local function band_at(number, place)
  local band = band_by_number[number]
  if not band then
    band = {number = number, place = place, running = 0, jobs = {}, at = 0}
    band_by_number[number] = band
    table.insert(bands, band)
  end
  band.place = math.min(band.place, place)
  return band
end

-- Find the bands with jobs that are due, from a score on, up to one that has been found already.
local function find_bands(from)
  while #bands < MOST_BANDS do
    local first = redis.call('ZRANGEBYSCORE', queue, from, last_place, 'WITHSCORES',
      'LIMIT', 0, 1)
    if not first[1] then
      return
    end
    local score = tonumber(first[2])
    local number = band_of(score)
    if band_by_number[number] then
      return
    end
    band_at(number, score % BAND)
    if number == 0 then
      return
    end
    from = score_in(number - 1, 0)
  end
end

local function add(band, items, left_in)
  for i = 1, #items, 2 do
    table.insert(band.jobs, {name = items[i], score = items[i + 1], left_in = left_in})
  end
end

-- Add the jobs that older workers have left.
local function find_left()
  for _, number in ipairs(redis.call('ZRANGEBYSCORE', newer, '-inf', format)) do
    local list = newer .. ':' .. number
    local left = redis.call('ZRANGE', list, 0, most + PASSED_OVER - 1, 'WITHSCORES')
    if #left == 0 then
      redis.call('ZREM', newer, number)
    end
    for i = 1, #left, 2 do
      local score = tonumber(left[i + 1])
      add(band_at(band_of(score), score % BAND), {left[i], left[i + 1]}, list)
    end
  end
end

-- Whose turn it is depends on what its team runs, and on when it had its last turn.
local function weigh()
  local numbers = {}
  for i, band in ipairs(bands) do
    numbers[i] = band.number
    band.running = redis.call('ZCOUNT', running, score_in(band.number, now_ms),
      score_in(band.number, BAND))
  end
  for i, turn in ipairs(redis.call('HMGET', turns, unpack(numbers))) do
    bands[i].place = math.max(bands[i].place, (tonumber(turn) or 0) - least)
  end
end

local function before(one, other)
  if one.running ~= other.running then
    return one.running < other.running
  end
  return one.place < other.place
end

local function next_band()
  local best
  for _, band in ipairs(bands) do
    if not band.over and (not best or before(band, best)) then
      best = band
    end
  end
  return best
end

local function next_job(band)
  if band.at == 0 then
    local left = #band.jobs > 0
    add(band, redis.call('ZRANGEBYSCORE', queue, score_in(band.number, 0),
      score_in(band.number, band.number == 0 and last_place or now_ms),
      'WITHSCORES', 'LIMIT', 0, most + PASSED_OVER))
    if left then
      table.sort(band.jobs, function(one, other)
        return tonumber(one.score) < tonumber(other.score)
      end)
    end
  end
  band.at = band.at + 1
  return band.jobs[band.at]
end

local taken, leases, runs = {}, {}, {}
local turn = string.format('%.3f', now_ms + time[2] % 1000 / 1000)
local function take(band, job)
  table.insert(taken, job.name)
  table.insert(taken, job.score)
  table.insert(leases, now_ms + lease)
  table.insert(leases, job.name)
  table.insert(runs, score_in(band.number, now_ms + lease))
  table.insert(runs, job.name)
  if #bands > 1 then
    band.running, band.place = band.running + 1, turn - least
    redis.call('HSET', turns, band.number, turn)
  end
end

find_bands('-inf')
if #bands == MOST_BANDS then
  local any = time[2] % (bands[1].number + 1)
  bands, band_by_number = {}, {}
  find_bands(score_in(any, 0))
  find_bands('-inf')
end
find_left()
if #bands > 1 then
  weigh()
end
while #taken < 2 * most do
  local band = next_band()
  if not band then
    break
  end
  local job = next_job(band)
  if not job then
    band.over = true
  elseif job.left_in and not redis.call('ZSCORE', queue, job.name) then
    redis.call('ZREM', job.left_in, job.name) -- It is over.
  elseif redis.call('SET', 'arq:in-progress:' .. job.name, '1', 'NX', 'PX', lease) then
    take(band, job)
  end
end
if #taken > 0 then
  redis.call('ZADD', queue, 'XX', unpack(leases))
  redis.call('ZADD', running, unpack(runs))
  redis.call('EXPIRE', running, DAY_SECONDS)
  if #bands > 1 then
    redis.call('EXPIRE', turns, DAY_SECONDS)
  end
end
return taken
