-- What every script starts with.

-- Redis' clock is the only one that all processes share.
local time = redis.call('TIME')
local now_unix, now_ms = tonumber(time[1]), time[1] * 1000 + math.floor(time[2] / 1000)

-- The next of the numbers at the key. They follow the clock in microseconds, so that they keep growing
-- even if the last one was lost.
local function next_number(key)
  local last = tonumber(redis.call('GET', key) or 0)
  local number = string.format('%.0f', math.max(last + 1, time[1] * 1000000 + time[2]))
  redis.call('SET', key, number)
  return number
end

-- The leads in milliseconds, by priority, from a list of priority, lead, … that starts at `first`.
local function leads_in(items, first)
  local leads = {}
  for i = first, #items, 2 do
    leads[items[i]] = items[i + 1]
  end
  return leads
end

-- The pause that a person has set for the registry, for `worker/{id}`, or for `*`, everything; nil if
-- there is none, or it cannot be read. `key` is push:registry:paused. Only its end, or a person, ends
-- it. It has `since` and `until` in milliseconds of Unix time, `by` and `reason`; all but the first may
-- be missing.
local function paused_by_person(key, what)
  local read, pause = pcall(cjson.decode, redis.call('HGET', key, what) or '')
  if read and type(pause) == 'table' and type(pause.since) == 'number'
    and (not pause['until'] or (tonumber(pause['until']) or 0) > now_ms) then
    return pause
  end
end
