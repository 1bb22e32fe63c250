-- The targets of a job that is to start: which are left, and what holds back their registries.

-- An error of the registry as it reads after the registry's name, by which it may begin itself.
local function without_name(error, registry)
  local rest = string.gsub(error, '^https?://', '')
  if string.sub(rest, 1, #registry) ~= registry then
    return error
  end
  return string.match(string.sub(rest, #registry + 1), '^:? (.+)') or error
end

-- Why the registry cannot be tried now, and in how many milliseconds it can. nil if it can now. If the
-- job is the one to try it after a pause, it gets into `probing`.
local function held_back(registry, max_uploads, probing)
  local person = paused_by_person(namespace .. ':registry:paused', registry)
  if person then
    return {
      ms = person['until'] and person['until'] - now_ms or math.huge, person = true,
      why = registry .. ' is paused' .. (person.by and ' by ' .. person.by or '')
        .. (person.reason and ': ' .. person.reason or ''),
    }
  end
  local pause = pause_of(registry)
  if pause and pause.left > 0 then
    local how = pause.asked and ' asks for a pause: ' or ' is down: '
    return {
      ms = pause.left, why = registry .. how .. without_name(pause.reason, registry),
      error = pause.reason, error_kind = pause.kind,
    }
  end
  if uploads_to(registry) >= max_uploads then
    return {ms = 0, why = registry .. ' takes ' .. max_uploads .. ' uploads at once'}
  end
  if pause then
    start_probe(registry, id)
    table.insert(probing, registry)
  end
end

-- Whether a newer job has written the tag.
local function superseded(record, target)
  local newest = record.ordered ~= 'false'
    and redis.call('HGET', namespace .. ':tag:' .. target, 'sequence')
  return newest and tonumber(newest) > tonumber(record.sequence)
end

-- The targets left to push to, the digest of those that were pushed, and the error of the first one
-- that was given up.
local function targets_left(record)
  local left, pushed, failure = {}, nil, nil
  for _, target in ipairs(targets_of(record)) do
    local result = record['result:' .. target]
    if not result and superseded(record, target) then
      result = 'superseded'
      redis.call('HSET', job, 'result:' .. target, result)
      record['result:' .. target] = result
    end
    if not result and record['failure:' .. target] then
      failure = failure or record['failure:' .. target]
    elseif not result then
      table.insert(left, target)
    elseif result ~= 'superseded' then
      pushed = result
    end
  end
  return left, pushed, failure
end

-- The targets that can be tried now, the others, what holds back each registry of those, and the
-- registries that the job is the first to try again.
local function open_targets(left, max_uploads)
  local open, others, held, probing = {}, {}, {}, {}
  for _, target in ipairs(left) do
    local registry = registry_of(target)
    if held[registry] == nil then
      held[registry] = held_back(registry, max_uploads, probing) or false
    end
    table.insert(held[registry] and others or open, target)
  end
  return open, others, held, probing
end

-- What holds back the first of the targets that can be tried, and the registries of all.
local function what_holds(targets, held)
  local first, registries, known = nil, {}, {}
  for _, target in ipairs(targets) do
    local registry = registry_of(target)
    local hold = held[registry]
    if not known[registry] then
      known[registry] = true
      table.insert(registries, registry)
    end
    if not first or hold.ms < first.ms then
      first = hold
    end
  end
  return first, registries
end

-- Give up the targets whose registries are down, unless that leaves none. Returns those that are left.
local function give_up_some(targets, held)
  local paused = {}
  for _, target in ipairs(targets) do
    if held[registry_of(target)].person then
      table.insert(paused, target)
    end
  end
  for _, target in ipairs(#paused > 0 and targets or {}) do
    local hold = held[registry_of(target)]
    if hold.error then
      redis.call('HSET', job, 'failure:' .. target, hold.error_kind .. ' ' .. hold.error,
        'error', hold.error, 'error_kind', hold.error_kind)
    end
  end
  return paused
end
