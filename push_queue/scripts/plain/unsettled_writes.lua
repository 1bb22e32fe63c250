-- Writes of tags that may yet arrive although their turn is over. If there are very many, some of them
-- at random, so that each gets its turn.
--
-- KEYS    1 push:writes
-- ARGV    1 namespace   2 how many to look at
-- Result  note, milliseconds since the write could last arrive (below zero if it still can), digest
--         that the tag should have or '', sequence of the newest job that has written it, …; nothing
--         of a tag that is being written now
local namespace, count = ARGV[1], ARGV[2]
local notes, found = redis.call('ZRANDMEMBER', KEYS[1], count, 'WITHSCORES'), {}
for i = 1, #notes, 2 do
  local note, ends = notes[i], tonumber(notes[i + 1])
  local target = string.match(note, '^%S+ %d+ %S+ (%S+)$')
  if not target then
    redis.call('ZREM', KEYS[1], note) -- It is malformed.
  elseif redis.call('EXISTS', namespace .. ':tag:' .. target .. ':writer') == 0 then
    table.insert(found, note)
    table.insert(found, now_ms - ends)
    local newest = redis.call('HMGET', namespace .. ':tag:' .. target, 'digest', 'sequence')
    table.insert(found, newest[1] or '')
    table.insert(found, newest[2] or '0')
  end
end
return found
