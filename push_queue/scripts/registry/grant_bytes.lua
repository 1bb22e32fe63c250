-- Grant a worker the next bytes that it may send to a registry: its share of a quarter of a second, at
-- the rate that all workers have together.
--
-- Bandwidth is given out ahead, one grant after the other. What nobody has asked for is lost, but for
-- the last quarter of a second. A worker that asks is a sender for some seconds, and for no longer may
-- it use its grant.
--
-- KEYS    1 push:registry:{host}:senders   2 push:registry:{host}:granted
-- ARGV    1 namespace   2 worker   3 bytes a second
-- Result  {bytes, milliseconds to wait before they are sent, milliseconds until the grant ends}
local senders, granted = KEYS[1], KEYS[2]
local worker, rate = ARGV[2], tonumber(ARGV[3])
local INTERVAL_US = 250000
local FAR_US = 4000000
local LEAST_BYTES = 16384
local SENDER_MS = 2000
local now_us = time[1] * 1000000 + time[2]

redis.call('ZREMRANGEBYSCORE', senders, '-inf', now_ms)
redis.call('ZADD', senders, now_ms + SENDER_MS, worker)
local count = redis.call('ZCARD', senders)
local bytes = math.max(LEAST_BYTES, math.floor(rate * INTERVAL_US / 1000000 / count))
local lasts = bytes / rate * 1000000

-- Each sender has one grant at most. If much more is given out, the clock was set back. If nothing is
-- known, Redis may have lost it: then there is nothing to make up for.
local from = tonumber(redis.call('GET', granted) or now_us)
from = math.min(math.max(from, now_us - INTERVAL_US), now_us + FAR_US + count * lasts)
local wait_ms = math.ceil(math.max(0, from - now_us) / 1000)
local end_ms = wait_ms + SENDER_MS
redis.call('SET', granted, string.format('%.0f', from + lasts),
  'PX', string.format('%.0f', end_ms + lasts / 1000))
redis.call('ZADD', senders, now_ms + end_ms, worker)
redis.call('PEXPIRE', senders, end_ms)
return {bytes, wait_ms, end_ms}
