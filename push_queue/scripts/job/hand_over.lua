-- Enqueue a job that arq has lost.
--
-- args    1 generation   2 when it is due, in milliseconds of Unix time
--         3 lead of its priority, in milliseconds
-- Result  1 if arq had lost it, else 0
local record = read('state', 'generation', 'labels', 'enqueued_by')
if not record.state or is_final(record.state) or record.generation ~= args[1]
  or arq_has(record.generation) then
  return 0
end
give_to_arq(record, tonumber(args[2]), args[3])
return 1
