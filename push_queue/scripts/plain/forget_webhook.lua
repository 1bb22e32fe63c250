-- Forget a receiver of webhooks, and the events that it does not have.
--
-- KEYS    1 push:webhook:{name}   2 push:webhook:{name}:events   3 push:webhook:{name}:sender
-- ARGV    1 '1' to count only
-- Result  how many events there were; -1 if a worker sends to it
if redis.call('EXISTS', KEYS[3]) == 1 then
  return -1
end
local events = redis.call('XLEN', KEYS[2])
if ARGV[1] ~= '1' then
  redis.call('UNLINK', KEYS[1], KEYS[2])
end
return events
