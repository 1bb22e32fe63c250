"""A fleet keeps the bandwidth to a registry, whatever happens to its workers and to Redis.

The workers' part and the script run as they are, in a time that passes only while nothing is left
to do. So a case is the same each time, and takes no longer than it has to.
"""

import asyncio
import math
import random
import selectors
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any

import fakeredis
import pytest

from push_queue.errors import RedisUnavailableError
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.registries.rates import Grant, RegistryRates
from tests.support.redis_client import Redis
from worker.fleet_rate import FleetRate

HOST = "localhost:15000"
RATE = 8_000_000
PIECE = 256 * 1024
SHARE = 0.25
"""Seconds of bandwidth that are granted at a time, to all workers together."""
AT_ONCE = 2 * SHARE
"""Seconds of bandwidth beyond the rate: what was not used just before, and a last grant."""
LATE = 2.0
"""Seconds after which nothing of a grant is sent."""
AWAY = range(1000, 1010)
"""When Redis is away."""


class InstantSelector(selectors.DefaultSelector):
    """Has the loop's timers be due at once; ``now`` is the time that they think it is."""

    now = 0.0

    def select(self, timeout: float | None = None) -> Any:
        assert timeout is not None, "nothing will ever happen"
        self.now += max(0.0, timeout)
        return super().select(0)


Run = Callable[[Callable[[Redis], Awaitable[None]]], None]


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Run:
    """Runs in such a time, by which Redis goes, too."""
    selector = InstantSelector()
    begin = float(int(time.time()))
    loop = asyncio.SelectorEventLoop(selector)
    monkeypatch.setattr(loop, "time", lambda: selector.now)
    monkeypatch.setattr(time, "time", lambda: begin + selector.now)

    async def with_redis(work: Callable[[Redis], Awaitable[None]]) -> None:
        async with fakeredis.FakeAsyncRedis(server=fakeredis.FakeServer()) as redis:
            await work(redis)

    def run(work: Callable[[Redis], Awaitable[None]]) -> None:
        with asyncio.Runner(loop_factory=lambda: loop) as runner:
            runner.run(with_redis(work))

    return run


Delay = Callable[[], float]
"""The seconds that something takes now."""


def at_once() -> float:
    return 0.0


class Way(RegistryRates):
    """One worker's way to Redis, ``there`` and ``back``."""

    def __init__(self, redis: Redis, there: Delay = at_once, back: Delay = at_once) -> None:
        super().__init__(Database(redis, Keys("rates")))
        self._there, self._back = there, back

    async def grant(self, registry: str, worker: str, bytes_per_second: int) -> Grant:
        await asyncio.sleep(self._there())
        if int(now()) in AWAY:
            raise RedisUnavailableError("Redis is away")
        grant = await super().grant(registry, worker, bytes_per_second)
        await asyncio.sleep(self._back())
        return grant


class Registry:
    """What has been sent to it, and when."""

    def __init__(self) -> None:
        self.sent: list[tuple[float, int]] = []

    async def get(self, way: Way, worker: str, ends: float, pause: Delay = at_once) -> None:
        """All that a worker may send until then; it ``pause``s after each piece."""
        rate = FleetRate(way, worker, {HOST: RATE}.get)
        while now() < ends:
            count = await rate.may_send(HOST, PIECE)
            self.sent.append((now(), count))
            await asyncio.sleep(pause())

    @property
    def total(self) -> float:
        """In seconds of bandwidth."""
        return sum(count for _, count in self.sent) / RATE

    @property
    def excess(self) -> float:
        """What came beyond the rate in the worst stretch of time, in seconds of bandwidth."""
        before, least, worst = 0.0, math.inf, 0.0
        for moment, count in self.sent:
            least = min(least, before - moment)
            before += count / RATE
            worst = max(worst, before - moment - least)
        return round(worst, 6)


def now() -> float:
    return asyncio.get_running_loop().time()


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.mark.parametrize("count", [1, 5])
def test_workers_that_are_well_use_all_of_it_and_no_more(
    count: int, run: Run, registry: Registry
) -> None:
    async def fleet(redis: Redis) -> None:
        await asyncio.gather(*(registry.get(Way(redis), f"{n}", 10) for n in range(count)))

    run(fleet)
    assert registry.total == pytest.approx(10, abs=AT_ONCE)
    assert registry.excess <= AT_ONCE


@pytest.mark.parametrize("seconds", [0.1, 0.2, 0.5])
def test_a_slow_redis_makes_nobody_send_more(seconds: float, run: Run, registry: Registry) -> None:
    def delay() -> float:
        return seconds

    async def fleet(redis: Redis) -> None:
        await asyncio.gather(*(registry.get(Way(redis, delay, delay), n, 20) for n in "abc"))

    run(fleet)
    assert registry.excess <= AT_ONCE


def test_while_redis_is_away_nothing_is_sent(run: Run, registry: Registry) -> None:
    async def fleet(redis: Redis) -> None:
        await asyncio.sleep(AWAY.start - 5)
        await asyncio.gather(*(registry.get(Way(redis), n, AWAY.stop + 5) for n in "abc"))

    run(fleet)
    moments = {int(moment) for moment, _ in registry.sent}
    assert not moments & set(AWAY[1:])
    assert moments > {AWAY.start - 1, AWAY.stop + 1}
    assert registry.excess <= AT_ONCE


@pytest.mark.parametrize("apart", [0.1, 2.1])
def test_grants_that_are_late_do_not_add_up(apart: float, run: Run, registry: Registry) -> None:
    """Of workers that were stopped, or whose answers hung: each had asked when it was alone."""
    count, goes_on = 12, 12 * 2.1

    async def hangs(redis: Redis, number: int) -> None:
        await asyncio.sleep(goes_on - number * apart)
        way = Way(redis, back=lambda: max(0.0, goes_on - now()))
        await registry.get(way, f"{number}", goes_on + 5)

    async def fleet(redis: Redis) -> None:
        await asyncio.gather(*(hangs(redis, number) for number in range(count)))

    run(fleet)
    assert registry.excess <= AT_ONCE + LATE


def test_a_redis_that_loses_all_gives_out_one_share_more(run: Run, registry: Registry) -> None:
    async def loses(redis: Redis) -> None:
        for _ in range(10):
            await asyncio.sleep(1.03)
            await redis.flushall()

    async def fleet(redis: Redis) -> None:
        workers = (registry.get(Way(redis), n, 10) for n in "abcd")
        await asyncio.gather(loses(redis), *workers)

    run(fleet)
    assert registry.excess <= AT_ONCE + 10 * SHARE


@pytest.mark.parametrize("seed", range(8))
def test_workers_are_killed_and_stopped_while_redis_is_slow_and_away(
    seed: int, run: Run, registry: Registry
) -> None:
    chance = random.Random(seed)

    def delay() -> float:
        return chance.choice([0, 0, 0, 0.001, 0.02, 0.3, chance.uniform(0, 4)])

    def pause() -> float:
        return 0.0 if chance.random() < 0.9 else chance.uniform(0, 4)

    async def lives(redis: Redis, number: int) -> None:
        """A worker is killed, and another one comes."""
        for life in range(3):
            with suppress(TimeoutError):
                async with asyncio.timeout(chance.uniform(1, 20)):
                    await registry.get(Way(redis, delay, delay), f"{number}-{life}", 40, pause)

    async def fleet(redis: Redis) -> None:
        await asyncio.gather(*(lives(redis, number) for number in range(6)))

    run(fleet)
    assert registry.excess <= AT_ONCE + LATE
    assert registry.total > 3
