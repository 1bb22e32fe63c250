-- Note that a person pauses a registry, a worker or the whole queue. What is over is forgotten.
--
-- KEYS    1 push:registry:paused
-- ARGV    1 the registry, worker/{id}, or *   2 milliseconds, or '' for a pause without end
--         3 who pauses it, or ''   4 why, or ''
-- Result  the pause in JSON
local what, ms, by, reason = unpack(ARGV)
local known = redis.call('HKEYS', KEYS[1])
for _, other in ipairs(known) do
  if not paused_by_person(KEYS[1], other) then
    redis.call('HDEL', KEYS[1], other)
  end
end
local pause = {since = now_ms}
if ms ~= '' then
  pause['until'] = now_ms + ms
end
if by ~= '' then
  pause.by = by
end
if reason ~= '' then
  pause.reason = reason
end
local text = cjson.encode(pause)
redis.call('HSET', KEYS[1], what, text)
return text
