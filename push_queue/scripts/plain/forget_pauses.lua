-- Forget the pauses that are over, and that workers were to end who died before they had.
--
-- KEYS    1 push:registry:paused
-- Result  how many there were
local gone = 0
for _, what in ipairs(redis.call('HKEYS', KEYS[1])) do
  if not paused_by_person(KEYS[1], what) then
    gone = gone + redis.call('HDEL', KEYS[1], what)
  end
end
return gone
