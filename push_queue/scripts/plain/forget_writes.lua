-- Forget writes that can arrive no more.
--
-- KEYS    1 push:writes
-- ARGV    1.. their notes; one whose time was prolonged meanwhile stays
-- Result  nothing
for _, note in ipairs(ARGV) do
  local ends = tonumber(redis.call('ZSCORE', KEYS[1], note))
  if ends and ends <= now_ms then
    redis.call('ZREM', KEYS[1], note)
  end
end
