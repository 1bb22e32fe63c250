-- Each team has a band of scores of its own in arq's queue, so that its first job is found at once,
-- however many jobs of others are before it.
--
-- A job has a place: the time at which it was enqueued, less its lead. In band 0, of jobs without a
-- team, this is its score. In band n it is less by n times the width of a band. Only jobs that are due
-- are in the bands of teams: postponed and running ones have the time of that as their score.

-- Milliseconds until the year 2109, and so many bands that scores are still exact numbers.
local BAND = 2 ^ 42
local MOST_TEAMS = 2000

local function score_in(band, place)
  return string.format('%.0f', place - band * BAND)
end

local function band_of(score)
  return score < 0 and math.floor(-score / BAND) + 1 or 0
end

-- The team of a job: the first that it has of what is listed in `by`: `caller`, `label:<name>`, …
-- `record` needs labels and enqueued_by.
local function team_of(record, by)
  local read, labels = pcall(cjson.decode, record.labels or '{}')
  for source in string.gmatch(by, '[^,]+') do
    local label = string.match(source, '^label:(.*)$')
    local team = record.enqueued_by
    if label then
      team = read and type(labels) == 'table' and labels[label]
    end
    if type(team) == 'string' and team ~= '' then
      return team
    end
  end
end

-- The band of a job. Bands are given out in `teams`, a hash; once all are, they are given out anew, so
-- that some teams share one for a while.
local function band_for(record, by, teams)
  local team = team_of(record, by)
  if not team then
    return 0
  end
  local band = tonumber(redis.call('HGET', teams, team))
  if not band then
    local given_out = redis.call('HLEN', teams)
    if given_out >= MOST_TEAMS then
      redis.call('DEL', teams)
      given_out = 0
    end
    band = given_out + 1
    redis.call('HSET', teams, team, string.format('%.0f', band))
  end
  return band
end

-- Give postponed jobs that are due now the place in the queue of their priority and team, so many at
-- most. `leads` are in milliseconds, by priority; `least` is the lowest. Returns how many there were.
local function promote(queue, namespace, by, leads, least, most)
  -- All others have their place already, or are not due.
  local due = redis.call('ZRANGEBYSCORE', queue, '(' .. now_ms - least, now_ms, 'WITHSCORES',
    'LIMIT', 0, most)
  local pattern = '^' .. string.gsub(namespace, '%W', '%%%0') .. ':(.*):%d+$'
  for i = 1, #due, 2 do
    local id = string.match(due[i], pattern)
    local priority, labels, caller = unpack(redis.pcall('HMGET', namespace .. ':job:' .. (id or ''),
      'priority', 'labels', 'enqueued_by'))
    -- Not there if the job's key holds something other than a hash.
    local record = {labels = labels or nil, enqueued_by = caller}
    redis.call('ZADD', queue, 'XX', score_in(band_for(record, by, namespace .. ':jobs:teams'),
      due[i + 1] - (leads[priority or 'normal'] or least)), due[i])
  end
  return #due / 2
end
