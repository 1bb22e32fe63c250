-- Writes of tags that may arrive yet though their turn is over. Of a great many, some at random:
-- none is left out for ever.
--
-- KEYS    1 push:writes
-- ARGV    1 namespace   2 how many to look at
-- Result  note, milliseconds that its tag is watched no longer (below zero while it is), digest
--         that the tag should stand for or '', sequence of the newest job that has written it, …;
--         none of a tag that is just being written
local namespace, count = ARGV[1], ARGV[2]
local notes, found = redis.call('ZRANDMEMBER', KEYS[1], count, 'WITHSCORES'), {}
for i = 1, #notes, 2 do
  local note, ends = notes[i], tonumber(notes[i + 1])
  local target = string.match(note, '^%S+ %d+ %S+ (%S+)$')
  if not target then
    redis.call('ZREM', KEYS[1], note) -- Nobody could make anything of it.
  elseif redis.call('EXISTS', namespace .. ':tag:' .. target .. ':writer') == 0 then
    table.insert(found, note)
    table.insert(found, now_ms - ends)
    local newest = redis.call('HMGET', namespace .. ':tag:' .. target, 'digest', 'sequence')
    table.insert(found, newest[1] or '')
    table.insert(found, newest[2] or '0')
  end
end
return found
