"""A registry's upload slots and pauses."""

from datetime import UTC, datetime

import pytest

from push_queue.models.fleet import RegistryInfo
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.registries.limits import RegistryLimits
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock

HOST = "localhost:15000"
MAX_UPLOADS = 3
SECONDS = 15.0
ASK_AGAIN = 0.1

pytestmark = pytest.mark.usefixtures("clock")  # Time stands still unless it is told to move.


@pytest.fixture
def limits(redis: Redis) -> RegistryLimits:
    return RegistryLimits(Database(redis, Keys()), MAX_UPLOADS)


async def take(limits: RegistryLimits, *tokens: str, host: str = HOST) -> list[float]:
    return [await limits.take_slot(host, token, SECONDS) for token in tokens]


async def fill(limits: RegistryLimits) -> None:
    assert await take(limits, "a", "b", "c") == [0, 0, 0]


# Slots


async def test_there_are_so_many_slots_at_each_registry(limits: RegistryLimits) -> None:
    await fill(limits)
    assert await take(limits, "d", "e") == [ASK_AGAIN, ASK_AGAIN]
    assert await take(limits, "d", host="other:5000") == [0]


async def test_a_slot_given_back_is_free_at_once(limits: RegistryLimits) -> None:
    await fill(limits)
    await limits.give_slot_back(HOST, "b")
    assert await take(limits, "d", "e") == [0, ASK_AGAIN]


async def test_the_slots_of_a_dead_worker_run_out(
    limits: RegistryLimits, clock: RedisClock
) -> None:
    await fill(limits)
    clock.advance(SECONDS - 0.1)
    assert await take(limits, "d") == [ASK_AGAIN]
    clock.advance(0.1)
    assert await take(limits, "d", "e", "f", "g") == [0, 0, 0, ASK_AGAIN]


async def test_a_slot_that_is_renewed_stays_taken(
    limits: RegistryLimits, clock: RedisClock
) -> None:
    await fill(limits)
    clock.advance(SECONDS - 1)
    assert await take(limits, "b") == [0], "though all are taken"
    clock.advance(2)
    assert await take(limits, "d", "e", "f") == [0, 0, ASK_AGAIN]


async def test_slots_leave_nothing_behind(
    limits: RegistryLimits, redis: Redis, clock: RedisClock
) -> None:
    await fill(limits)
    clock.advance(2 * SECONDS + 1)
    assert await redis.keys() == [b"push:registry:used"]
    clock.advance(24 * 3600)
    assert await redis.keys() == []


# Pauses


async def test_who_holds_a_slot_goes_on_when_the_registry_asks_for_a_pause(
    limits: RegistryLimits, clock: RedisClock
) -> None:
    await take(limits, "a")
    assert await limits.pause(HOST, "too many requests", 20) == 20
    assert await take(limits, "a", "b") == [0, -20]
    assert await take(limits, "b", host="other:5000") == [0]
    clock.advance(19)
    assert await take(limits, "b") == [-1]
    clock.advance(1)
    assert await take(limits, "b") == [0]


async def test_an_outage_leaves_the_slots_of_running_pushes_alone(limits: RegistryLimits) -> None:
    """They ask for it themselves, and may be the first to see it end."""
    assert await limits.pause(HOST, "no answer") == 1
    assert await take(limits, "a") == [0]


async def test_pauses_grow_while_the_registry_does_not_come_back(
    limits: RegistryLimits, clock: RedisClock
) -> None:
    lasting = []
    for _ in range(7):
        lasting.append(await limits.pause(HOST, "no answer"))
        clock.advance(lasting[-1])
    assert lasting == [1, 2, 4, 8, 16, 30, 30]


async def test_all_that_fail_at_the_same_time_make_one_pause(
    limits: RegistryLimits, clock: RedisClock
) -> None:
    assert [await limits.pause(HOST, "no answer") for _ in range(5)] == [1] * 5
    clock.advance(0.5)
    assert await limits.pause(HOST, "no answer") == 0.5
    clock.advance(0.5)
    assert await limits.pause(HOST, "no answer") == 2


async def test_failures_long_ago_are_forgotten(limits: RegistryLimits, clock: RedisClock) -> None:
    await limits.pause(HOST, "no answer")
    clock.advance(3600)
    assert await limits.pause(HOST, "no answer") == 1


@pytest.mark.parametrize("later", [None, 5.0])
async def test_nothing_shortens_a_pause_that_was_asked_for(
    later: float | None, limits: RegistryLimits
) -> None:
    await limits.pause(HOST, "too many requests", 60)
    assert await limits.pause(HOST, "again", later) == 60
    assert await take(limits, "a") == [-60]


async def test_a_longer_pause_that_is_asked_for_counts(limits: RegistryLimits) -> None:
    await limits.pause(HOST, "no answer")
    await limits.pause(HOST, "too many requests", 5)
    assert await limits.pause(HOST, "too many requests", 60) == 60
    assert await take(limits, "a") == [-60]


# Looking


async def test_it_shows_what_a_registry_is_used_for_now(
    limits: RegistryLimits, clock: RedisClock, redis: Redis
) -> None:
    await fill(limits)
    await redis.zadd(Keys().waiting("other:5000"), {"job-1": 1, "job-2": 2})
    await redis.sadd(Keys().waited_for, "other:5000")
    assert await limits.held_back() == {"other:5000"}
    here, other = await limits.look_at([HOST, "other:5000"])
    assert here == RegistryInfo(name=HOST, uploads=3, max_uploads=MAX_UPLOADS, waiting=0)
    assert (other.uploads, other.waiting) == (0, 2)
    clock.advance(SECONDS)
    (here,) = await limits.look_at([HOST])
    assert here.uploads == 0


async def test_it_shows_a_pause_as_long_as_it_lasts(
    limits: RegistryLimits, clock: RedisClock
) -> None:
    await limits.pause(HOST, "too many\nrequests", 60)
    (paused,) = await limits.look_at([HOST])
    assert paused.pause_reason == "too many requests"
    assert paused.paused_until == datetime.fromtimestamp(clock.now + 60, UTC)
    clock.advance(60)
    (over,) = await limits.look_at([HOST])
    assert (over.paused_until, over.pause_reason) == (None, None)
