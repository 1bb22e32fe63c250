-- Forget writes that can no longer arrive.
--
-- KEYS    1 push:writes
-- ARGV    1.. their notes; a note whose time was prolonged stays
-- Result  nothing
for _, note in ipairs(ARGV) do
  local ends = tonumber(redis.call('ZSCORE', KEYS[1], note))
  if ends and ends <= now_ms then
    redis.call('ZREM', KEYS[1], note)
  end
end
