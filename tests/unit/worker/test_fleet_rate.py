"""What one worker may send to a registry, also while Redis does not answer."""

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
    """Gives out shares; an outage refuses them, a hang never answers."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str, int]] = []
        self.was_asked = asyncio.Event()
        self.answers = asyncio.Event()
        self.answers.set()
        self.refuses = False
        self.wait = 0.0

    async def grant(self, registry: str, worker: str, bytes_per_second: int) -> Grant:
        self.asked.append((registry, worker, bytes_per_second))
        self.was_asked.set()
        await self.answers.wait()
        if self.refuses:
            raise RedisUnavailableError("Redis is down")
        return Grant(SHARE, self.wait, 0.001)


@pytest.fixture
async def rates() -> Rates:
    return Rates()


@pytest.fixture
def rate(rates: Rates) -> FleetRate:
    return FleetRate(rates, "worker-1", {HOST: LIMIT}.get)


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
    rate: FleetRate, rates: Rates, monkeypatch: pytest.MonkeyPatch
) -> None:
    rates.wait = 7.0
    slept: list[float] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    monkeypatch.setattr(asyncio, "sleep", sleep)
    await take(rate, 2 * SHARE)
    assert slept == [7.0, 7.0]


async def test_uploads_that_send_at_the_same_time_share_it(rate: FleetRate, rates: Rates) -> None:
    await asyncio.gather(*(take(rate, 150) for _ in range(4)))
    assert len(rates.asked) == 6


async def test_an_upload_that_is_cancelled_leaves_the_next_its_share(
    rate: FleetRate, rates: Rates
) -> None:
    rates.answers.clear()
    upload = asyncio.create_task(take(rate, SHARE))
    await rates.was_asked.wait()
    upload.cancel()
    await asyncio.wait([upload])
    rates.answers.set()
    await take(rate, SHARE)
    assert len(rates.asked) == 1


@pytest.mark.parametrize("hangs", [True, False])
async def test_while_redis_is_away_it_goes_on_with_the_last_share(
    hangs: bool, rate: FleetRate, rates: Rates, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    await take(rate, SHARE)
    rates.refuses = not hangs
    if hangs:
        rates.answers.clear()
    taken = [await rate.may_send(HOST, 10**6) for _ in range(3)]
    assert taken == [SHARE] * 3
    assert hangs or "Redis is down" in caplog.text
    rates.refuses = False
    rates.answers.set()
    before = len(rates.asked)
    await take(rate, 2 * SHARE)
    assert len(rates.asked) > before - hangs
    await rate.close()


async def test_it_can_be_closed_while_redis_hangs(rate: FleetRate, rates: Rates) -> None:
    await take(rate, SHARE)
    rates.answers.clear()
    await take(rate, SHARE)
    await rate.close()
    assert len(asyncio.all_tasks()) == 1
