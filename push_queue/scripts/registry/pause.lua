-- Stop all workers from using a registry for a while.
--
-- KEYS    1 push:registry:{host}:pause
-- ARGV    1 namespace   2 registry   3 why   4 kind of the error that says why
--         5 milliseconds that the registry asked for; 0 to wait longer with each failure in a row
--         6 first and 7 longest such wait, in milliseconds
-- Result  the milliseconds that the pause lasts from now
local registry, why, kind = ARGV[2], ARGV[3], ARGV[4]
local asked, first, longest = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local REMEMBER_MS = 600000
local known = redis.call('HMGET', KEYS[1], 'until', 'streak')
local ends, streak = tonumber(known[1] or 0), tonumber(known[2] or 0)
if asked > 0 then
  ends = math.max(ends, now_ms + asked)
  -- A pause that the registry asked for holds back running jobs, too, not only those that start.
  redis.call('HSET', KEYS[1], 'asked_until', string.format('%.0f', ends))
elseif ends <= now_ms then
  -- If many requests fail at the same time, only the first one lengthens the pause.
  streak = streak + 1
  ends = now_ms + math.min(longest, first * 2 ^ (streak - 1))
end
redis.call('HSETNX', KEYS[1], 'since', now_ms)
redis.call('HSET', KEYS[1], 'until', string.format('%.0f', ends), 'streak', streak, 'reason', why,
  'kind', kind)
stop_probe(registry)
note_use(registry)
redis.call('PEXPIRE', KEYS[1], string.format('%.0f', ends - now_ms + REMEMBER_MS))
return ends - now_ms
