"""The bandwidth to a registry, given out to the workers that send to it.

Time stands still unless it is told to move, so a simulation tells exactly what goes out when.
"""

import heapq
from collections import Counter
from collections.abc import Mapping
from itertools import pairwise

import pytest

from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.registries.rates import Grant, RegistryRates
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock

HOST = "localhost:15000"
KEYS = Keys("rates")
RATE = 8_000_000
PERIOD = 0.25
LEAST_BYTES = 16384
SENDER = 2.0


def most(rate: int, seconds: float) -> float:
    """Bytes that may go out in that time: with those not used just before, and a last grant."""
    return rate * (seconds + PERIOD) + max(rate * PERIOD, LEAST_BYTES)


class Fleet:
    """Workers that send all that they may, as fast as their own lines are."""

    def __init__(self, redis: Redis, clock: RedisClock, rate: int = RATE) -> None:
        self.rates = RegistryRates(Database(redis, KEYS))
        self.clock = clock
        self.rate = rate
        self.lateness = 0.0
        """How late every other question is."""
        self._late = False
        self._sent: list[tuple[float, str, int]] = []
        self._events: list[tuple[float, str]] = []
        self._lines: dict[str, float] = {}

    def join(self, lines: Mapping[str, float]) -> None:
        """Workers begin to send, each with a line of so many bytes a second."""
        for number, (worker, line) in enumerate(lines.items()):
            self._lines[worker] = line
            heapq.heappush(self._events, (self.clock.now + number / 1000, worker))

    def longest_silence(self, worker: str) -> float:
        moments = [moment for moment, sender, _ in self._sent if sender == worker]
        return max(later - earlier for earlier, later in pairwise(moments))

    def die(self, worker: str) -> None:
        self._events = [event for event in self._events if event[1] != worker]
        heapq.heapify(self._events)

    async def run(self, seconds: float) -> Counter[str]:
        """What each has sent in that time."""
        begin, end = self.clock.now, self.clock.now + seconds
        while self._events and self._events[0][0] < end:
            moment, worker = heapq.heappop(self._events)
            self.clock.now = max(self.clock.now, moment)
            grant = await self.rates.grant(HOST, worker, self.rate)
            sending = self.clock.now + grant.wait
            self._sent.append((sending, worker, grant.bytes))
            self._late = not self._late and self.lateness > 0
            asks = sending + grant.bytes / self._lines[worker] + self._late * self.lateness
            heapq.heappush(self._events, (asks, worker))
        self.clock.now = end
        sent: Counter[str] = Counter()
        for moment, worker, count in self._sent:
            if begin <= moment < end:
                sent[worker] += count
        assert sent.total() <= most(self.rate, end - begin)
        return sent


@pytest.fixture
def fleet(redis: Redis, clock: RedisClock) -> Fleet:
    return Fleet(redis, clock)


FAST = 1e9


def workers(count: int, line: float = FAST) -> dict[str, float]:
    return {f"worker-{number}": line for number in range(count)}


@pytest.mark.parametrize("count", [1, 2, 20])
async def test_all_of_it_is_used_and_shared_evenly(count: int, fleet: Fleet) -> None:
    fleet.join(workers(count))
    await fleet.run(2)
    sent = await fleet.run(5)
    assert sent.total() == pytest.approx(5 * RATE, rel=0.03)
    assert min(sent.values()) == pytest.approx(5 * RATE / count, rel=0.1)
    assert max(sent.values()) == pytest.approx(5 * RATE / count, rel=0.1)
    # Those that were there first have sent more than their share, and wait for the others once.
    assert fleet.longest_silence(f"worker-{count - 1}") <= 2 * PERIOD


async def test_what_a_worker_with_a_slow_line_leaves_the_others_use(fleet: Fleet) -> None:
    fleet.join({"slow": RATE / 100, "fast": FAST})
    await fleet.run(2)
    sent = await fleet.run(5)
    assert sent.total() == pytest.approx(5 * RATE, rel=0.15)


async def test_what_a_worker_that_asks_late_has_missed_it_gets_the_next_time(fleet: Fleet) -> None:
    fleet.lateness = PERIOD / 5
    fleet.join({"a": 1.1 * RATE})
    await fleet.run(2)
    assert (await fleet.run(10)).total() == pytest.approx(10 * RATE, rel=0.02)


async def test_a_worker_that_comes_gets_its_share_and_one_that_dies_leaves_it(
    fleet: Fleet,
) -> None:
    fleet.join(workers(2))
    await fleet.run(5)
    fleet.join({"new": FAST})
    await fleet.run(1)
    sent = await fleet.run(10)
    assert sent["new"] == pytest.approx(10 * RATE / 3, rel=0.05)
    fleet.die("new")
    await fleet.run(3)
    sent = await fleet.run(10)
    assert sent.total() == pytest.approx(10 * RATE, rel=0.03)
    assert sent["new"] == 0
    assert (await fleet.rates.grant(HOST, "worker-0", RATE)).bytes == RATE * PERIOD / 2


@pytest.mark.parametrize(("rate", "count"), [(20_000, 1), (100_000, 20)])
async def test_a_low_rate_is_kept_by_waiting_longer(
    rate: int, count: int, redis: Redis, clock: RedisClock
) -> None:
    fleet = Fleet(redis, clock, rate)
    fleet.join(workers(count))
    await fleet.run(20)
    sent = await fleet.run(60)
    assert sent.total() == pytest.approx(60 * rate, rel=0.05)
    assert len(sent) == count


async def test_a_quiet_time_is_no_credit(fleet: Fleet) -> None:
    fleet.join({"a": FAST})
    await fleet.run(2)
    fleet.die("a")
    fleet.clock.advance(3600)
    fleet.join({"a": FAST})
    sent = await fleet.run(1)
    assert sent["a"] <= most(RATE, 1)


async def test_a_clock_that_is_set_back_stops_nobody(fleet: Fleet) -> None:
    fleet.join(workers(2))
    await fleet.run(2)
    fleet.clock.advance(-3600)
    assert (await fleet.rates.grant(HOST, "worker-0", RATE)).wait < 5


async def test_a_grant_ends_when_the_worker_is_no_sender_any_more(fleet: Fleet) -> None:
    rate = 10_000
    lasts = LEAST_BYTES / rate
    assert await fleet.rates.grant(HOST, "a", rate) == Grant(LEAST_BYTES, 0, SENDER)
    later = await fleet.rates.grant(HOST, "a", rate)
    assert later.wait == pytest.approx(lasts, abs=0.001)
    assert later.ends == pytest.approx(later.wait + SENDER)


async def test_a_redis_that_has_lost_all_makes_up_for_nothing(fleet: Fleet, redis: Redis) -> None:
    fleet.join({"a": FAST})
    await fleet.run(2)
    await redis.flushall()
    waits = [(await fleet.rates.grant(HOST, "a", RATE)).wait for _ in range(2)]
    assert waits == [0, PERIOD]


async def test_registries_have_rates_of_their_own(fleet: Fleet) -> None:
    for _ in range(3):
        await fleet.rates.grant(HOST, "a", RATE)
    assert (await fleet.rates.grant(HOST, "a", RATE)).wait > 0
    assert (await fleet.rates.grant("other:5000", "a", RATE)).wait == 0


async def test_nothing_is_left_behind(fleet: Fleet, redis: Redis, clock: RedisClock) -> None:
    for worker in workers(3):
        await fleet.rates.grant(HOST, worker, RATE)
    clock.advance(10)
    assert await redis.keys() == []
