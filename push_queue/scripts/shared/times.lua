-- Moments as records have them.

-- Milliseconds of Unix time as ISO 8601 in UTC. Years are counted from the 1st of March of the year 0,
-- so that a leap day is the last of its year.
local function timestamp(ms)
  local seconds = math.floor(ms / 1000)
  local day, second = math.floor(seconds / 86400) + 719468, seconds % 86400
  local era, day_of_era = math.floor(day / 146097), day % 146097
  local year = math.floor((day_of_era - math.floor(day_of_era / 1460)
    + math.floor(day_of_era / 36524) - math.floor(day_of_era / 146096)) / 365)
  local day_of_year = day_of_era - (365 * year + math.floor(year / 4) - math.floor(year / 100))
  local month = math.floor((5 * day_of_year + 2) / 153)
  local january = month >= 10 and 1 or 0
  return string.format('%04d-%02d-%02dT%02d:%02d:%02d.%03dZ',
    era * 400 + year + january, month + 3 - 12 * january,
    day_of_year - math.floor((153 * month + 2) / 5) + 1,
    math.floor(second / 3600), math.floor(second / 60) % 60, second % 60, ms % 1000)
end

-- The reverse of `timestamp`.
local function milliseconds(text)
  local year, month, day, hour, minute, second, ms =
    string.match(text, '(%d+)-(%d+)-(%d+)T(%d+):(%d+):(%d+)%.(%d+)Z')
  local january = tonumber(month) <= 2 and 1 or 0
  year, month = year - january, month - 3 + 12 * january
  local days = 365 * year + math.floor(year / 4) - math.floor(year / 100)
    + math.floor(year / 400) + math.floor((153 * month + 2) / 5) + day - 719469
  return (((days * 24 + hour) * 60 + minute) * 60 + second) * 1000 + ms
end

local now = timestamp(now_ms)
