-- Have all workers leave a registry alone for a while.
--
-- KEYS    1 push:registry:{host}:pause
-- ARGV    1 why   2 milliseconds that the registry asked for; 0 to wait the longer, the more often
--         it has failed in a row   3 first and 4 longest such wait, in milliseconds
--         5 kind of the error that says why
-- Result  the milliseconds that the pause lasts from now
local why, asked, first, longest = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local REMEMBER_MS = 600000
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000)
local known = redis.call('HMGET', KEYS[1], 'until', 'streak')
local ends, streak = tonumber(known[1] or 0), tonumber(known[2] or 0)
if asked > 0 then
  ends = math.max(ends, now + asked)
  -- A registry that does not answer holds back jobs that start, one that asks also those that run.
  redis.call('HSET', KEYS[1], 'asked_until', string.format('%.0f', ends))
elseif ends <= now then
  -- Of all that fail at the same time, the first alone makes the wait longer.
  streak = streak + 1
  ends = now + math.min(longest, first * 2 ^ (streak - 1))
end
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', ends), 'streak', streak, 'reason', why,
  'kind', ARGV[5])
redis.call('HDEL', KEYS[1], 'probe', 'probe_until')
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ends - now + REMEMBER_MS))
return ends - now
