"""Slots for blob uploads: this worker's share, the fleet's, and paused registries."""

import asyncio

import fakeredis
import pytest
from redis.asyncio import Redis

from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.registries.limits import RegistryLimits
from registry_api_v2_client import (
    NoSlotError,
    RateLimitedError,
    RegistryError,
    RegistryTimeoutError,
    RegistryUnavailableError,
    ServerError,
    UnauthorizedError,
    is_outage,
)
from worker import fleet_limits as module
from worker.fleet_limits import FleetLimits

HOST, OTHER = "localhost:15000", "other:5000"
FLEET = 3
LEASE_SECONDS = 15.0


@pytest.fixture
def registries(redis: Redis) -> RegistryLimits:
    return RegistryLimits(Database(redis, Keys()), FLEET)


def worker(
    registries: RegistryLimits, *, max_uploads: int = 10, crowded: bool = True
) -> FleetLimits:
    return FleetLimits(
        registries,
        max_uploads=max_uploads,
        lease_seconds=LEASE_SECONDS,
        crowded=lambda: crowded,
    )


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PATIENCE_SECONDS", 0.02)


async def taken(redis: Redis) -> int:
    return int(await redis.zcard(Keys().slots(HOST)))


async def fill(registries: RegistryLimits) -> None:
    for token in "abc":
        assert await registries.take_slot(HOST, token, 60) == 0


@pytest.mark.usefixtures("impatient")
async def test_a_worker_keeps_to_its_own_bound_at_each_registry(
    registries: RegistryLimits,
) -> None:
    limits = worker(registries, max_uploads=1)
    async with limits.slot(HOST), limits.slot(OTHER):
        with pytest.raises(NoSlotError, match=HOST):
            async with limits.slot(HOST):
                pytest.fail("it has a slot")
    async with limits.slot(HOST):
        pass


@pytest.mark.usefixtures("impatient")
async def test_workers_keep_to_the_fleet_s_bound(registries: RegistryLimits, redis: Redis) -> None:
    one, two = worker(registries), worker(registries)
    async with one.slot(HOST), two.slot(HOST), one.slot(HOST):
        assert await taken(redis) == FLEET
        with pytest.raises(NoSlotError, match="no upload slot free"):
            async with two.slot(HOST):
                pytest.fail("it has a slot")
    assert await taken(redis) == 0


@pytest.mark.usefixtures("impatient")
async def test_a_job_that_nobody_wants_the_place_of_waits_for_a_slot(
    registries: RegistryLimits,
) -> None:
    await fill(registries)
    taking = asyncio.create_task(worker(registries, crowded=False).slot(HOST).__aenter__())
    done, _ = await asyncio.wait({taking}, timeout=0.2)
    assert not done, "though its patience is out"
    await registries.give_slot_back(HOST, "b")
    async with asyncio.timeout(60):
        await taking


@pytest.mark.parametrize("error", [RegistryError("gone"), asyncio.CancelledError()])
async def test_a_slot_is_given_back_however_the_upload_ends(
    error: BaseException, registries: RegistryLimits, redis: Redis
) -> None:
    limits = worker(registries, max_uploads=1)
    with pytest.raises(type(error)):
        async with limits.slot(HOST):
            raise error
    assert await taken(redis) == 0
    async with asyncio.timeout(60), limits.slot(HOST):
        pass


async def test_there_is_no_slot_for_as_long_as_the_registry_asks(
    registries: RegistryLimits,
) -> None:
    await registries.pause(HOST, "too many requests", 60)
    with pytest.raises(NoSlotError, match="is paused"):
        async with worker(registries).slot(HOST):
            pytest.fail("it has a slot")
    async with worker(registries).slot(OTHER):
        pass


async def test_a_push_goes_on_without_redis(
    registries: RegistryLimits, server: fakeredis.FakeServer
) -> None:
    server.connected = False
    limits = worker(registries)
    async with limits.slot(HOST):
        await limits.failed(at_host(RateLimitedError("slow down", status=429)))


# Failures


def at_host(error: RegistryError, retry_after: float | None = None) -> RegistryError:
    error.registry = HOST
    error.retry_after = retry_after
    return error


async def paused(redis: Redis) -> bool:
    return bool(await redis.exists(Keys().pause(HOST)))


@pytest.mark.parametrize(
    "error",
    [
        at_host(RateLimitedError("slow down", status=429)),
        at_host(RateLimitedError("slow down", status=429), 30),
        at_host(ServerError("too busy", status=503), 30),
    ],
)
async def test_a_registry_that_asks_for_it_is_left_alone_at_once(
    error: RegistryError, registries: RegistryLimits, redis: Redis
) -> None:
    await worker(registries).failed(error)
    assert await paused(redis)


async def test_a_registry_that_was_silent_for_a_whole_timeout_is_left_alone_at_once(
    registries: RegistryLimits, redis: Redis
) -> None:
    await worker(registries).failed(at_host(RegistryTimeoutError("did not answer in time")))
    assert await paused(redis)


@pytest.mark.parametrize(
    "error",
    [
        at_host(RegistryUnavailableError("no answer")),
        at_host(ServerError("bad gateway", status=502)),
        at_host(ServerError("away", status=503)),
    ],
)
async def test_a_registry_that_is_away_is_left_alone_after_three_failures(
    error: RegistryError, registries: RegistryLimits, redis: Redis
) -> None:
    limits = worker(registries)
    for _ in range(2):
        await limits.failed(error)
    assert not await paused(redis)
    async with limits.slot(HOST):
        pass  # A success ends the row.
    for _ in range(2):
        await limits.failed(error)
    assert not await paused(redis)
    await limits.failed(error)
    assert await paused(redis)


async def test_a_pause_is_logged_once_and_a_longer_one_again(
    registries: RegistryLimits, caplog: pytest.LogCaptureFixture
) -> None:
    limits = worker(registries)
    for seconds in (30, 30, 30, 600, 600):
        await limits.failed(at_host(ServerError("too busy", status=503), seconds))
    lasts = [text.partition(" s: ")[0] for text in caplog.messages]
    assert lasts == [f"{HOST} is left alone for {seconds}.0" for seconds in (30, 600)]


async def test_the_pauses_of_two_registries_are_both_logged(
    registries: RegistryLimits, caplog: pytest.LogCaptureFixture
) -> None:
    limits = worker(registries)
    for host in (HOST, OTHER):
        error = RegistryTimeoutError("did not answer in time")
        error.registry = host
        await limits.failed(error)
    assert [text.partition(" ")[0] for text in caplog.messages] == [HOST, OTHER]


@pytest.mark.parametrize("status", [502, 503, 504])
def test_what_a_gateway_says_of_a_registry_is_an_outage(status: int) -> None:
    assert is_outage(at_host(ServerError("away", status=status)))
    assert not is_outage(ServerError("of no registry", status=status))


@pytest.mark.parametrize(
    "error",
    [
        at_host(ServerError("broken", status=500)),
        at_host(UnauthorizedError("who?", status=401)),
        RegistryUnavailableError("of no registry"),
    ],
)
async def test_other_failures_are_of_one_push(
    error: RegistryError, registries: RegistryLimits, redis: Redis
) -> None:
    limits = worker(registries)
    for _ in range(5):
        await limits.failed(error)
    assert await redis.keys() == []
