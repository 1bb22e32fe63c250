-- Note that a person pauses a registry, a worker or the whole queue.
--
-- KEYS    1 push:registry:paused
-- ARGV    1 the registry, worker/{id}, or *   2 milliseconds, or '' for a pause without end
--         3 who pauses it, or ''   4 why, or ''
-- Result  the pause in JSON
local what, ms, by, reason = unpack(ARGV)
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
