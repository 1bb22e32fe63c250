-- The job in arq's queue.

-- Ten years: a queued job must not expire because there was no worker for a while.
local ARQ_RECORD_MS = 10 * 365 * 24 * 3600 * 1000

-- arq's id of the job in this generation.
local function arq_id(generation)
  return namespace .. ':' .. id .. ':' .. generation
end

-- Give the job to arq, to run when it is due. Then it gets its lead over others. `record` needs
-- generation, labels and enqueued_by.
--
-- Call it before all else that a script writes.
local function give_to_arq(record, due, lead)
  local name = arq_id(record.generation)
  local arq_record, teams = 'arq:job:' .. name, namespace .. ':jobs:teams'
  demand({
    {'SET', arq_record, ''}, {'PUBLISH', namespace .. ':progress:' .. id, ''},
    {'HSET', teams, '', ''},
  })
  -- As arq's serialize_job writes it. An id needs no escaping.
  local text = string.format('{"t":null,"f":"push_image","a":["%s",%d],"k":{},"et":%.0f}',
    id, record.generation, now_ms)
  redis.call('SET', arq_record, text,
    'PX', string.format('%.0f', math.max(due - now_ms, 0) + ARQ_RECORD_MS))
  local score = string.format('%.0f', due)
  if due <= now_ms then
    score = score_in(band_for(record, teams_by, teams), now_ms - lead)
  end
  redis.call('ZADD', queue, score, name)
end

-- Whether arq has the job in its queue, or runs it.
local function arq_has(generation)
  local name = arq_id(generation)
  return redis.call('EXISTS', 'arq:in-progress:' .. name) == 1
    or redis.call('ZSCORE', queue, name) and redis.call('EXISTS', 'arq:job:' .. name) == 1
end

-- Take the job out of arq's queue. A worker that has just taken it will notice. If that worker dies,
-- the next one does.
local function take_from_arq(generation)
  local name = arq_id(generation)
  if redis.call('EXISTS', 'arq:in-progress:' .. name) == 0 then
    redis.call('ZREM', queue, name)
    redis.call('DEL', 'arq:job:' .. name, 'arq:retry:' .. name)
  else
    redis.call('ZADD', queue, 'XX', now_ms, name)
  end
end

-- The jobs of a format that older workers have left, by the place that they had in arq's queue.
local function newer_key(format)
  return namespace .. ':newer:' .. format
end
