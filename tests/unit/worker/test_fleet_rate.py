"""What one worker may send to a registry: what Redis has granted it, and only in time."""

import asyncio
import logging

import pytest

from push_queue.errors import RedisUnavailableError
from push_queue.registries.rates import Grant, RegistryRates
from worker.fleet_rate import FleetRate

HOST = "localhost:15000"
LIMIT = 1000
SHARE = 100


class Rates(RegistryRates):
    """Gives out shares, after some refusals; while it hangs it does not answer."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self.was_asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()
        self.refusals = 0
        self.wait = 0.0
        self.ends = 60.0

    async def grant(self, registry: str, worker: str, bytes_per_second: int) -> Grant:
        self.asked.append((registry, worker, bytes_per_second))
        self.was_asked.set()
        await self.answers.wait()
        if self.refusals:
            self.refusals -= 1
            raise RedisUnavailableError("Redis is down")
        return Grant(SHARE, self.wait, self.ends)


@pytest.fixture
async def rates() -> Rates:
    return Rates()


@pytest.fixture
def rate(rates: Rates) -> FleetRate:
    return FleetRate(rates, "worker-1", {HOST: LIMIT}.get)


@pytest.fixture
def sleeps(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """How long it slept, at no time at all."""
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    return slept


async def take(rate: FleetRate, count: int) -> None:
    while count:
        count -= await rate.may_send(HOST, count)


async def test_a_registry_without_a_limit_is_not_asked_about(rate: FleetRate, rates: Rates) -> None:
    assert await rate.may_send("other:5000", 10**9) == 10**9
    assert rates.asked == []


async def test_a_share_is_asked_for_when_the_last_one_is_used_up(
    rate: FleetRate, rates: Rates
) -> None:
    assert [await rate.may_send(HOST, 60) for _ in range(4)] == [60, 40, 60, 40]
    assert rates.asked == [(HOST, "worker-1", LIMIT)] * 2


async def test_a_share_is_not_used_before_its_time(
    rate: FleetRate, rates: Rates, sleeps: list[float]
) -> None:
    rates.wait = 7.0
    await take(rate, 2 * SHARE)
    assert sleeps == [7.0, 7.0]


async def test_a_share_is_not_used_after_its_time(
    rate: FleetRate, rates: Rates, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert await rate.may_send(HOST, 60) == 60
    loop = asyncio.get_running_loop()
    time = loop.time
    monkeypatch.setattr(loop, "time", lambda: time() + rates.ends)
    assert await rate.may_send(HOST, SHARE) == SHARE
    assert len(rates.asked) == 2


async def test_uploads_that_send_at_the_same_time_share_it(rate: FleetRate, rates: Rates) -> None:
    await asyncio.gather(*(take(rate, 150) for _ in range(4)))
    assert len(rates.asked) == 6


async def test_an_upload_that_is_cancelled_does_not_stop_the_next(
    rate: FleetRate, rates: Rates
) -> None:
    rates.answers.clear()
    upload = asyncio.create_task(take(rate, SHARE))
    await rates.was_asked.wait()
    upload.cancel()
    await asyncio.wait([upload])
    rates.answers.set()
    await take(rate, SHARE)


async def test_a_redis_that_refuses_is_asked_again(
    rate: FleetRate,
    rates: Rates,
    sleeps: list[float],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.WARNING)
    rates.refusals = 2
    await take(rate, SHARE)
    assert len(rates.asked) == 3
    assert sleeps == [1, 1, 0]
    assert caplog.messages == [f"the bandwidth to {HOST} cannot be asked for: Redis is down"] * 2
