"""A turn at a tag: taken, renewed, given up, and what is noted of its writes."""

import asyncio

import pytest

from push_queue.jobs.tag_writes import TagWrite, TagWrites
from push_queue.models.assignments import Assignment, Turn
from push_queue.models.job import make_job
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from registry_api_v2_client import (
    DeniedError,
    ProtocolError,
    RegistryError,
    RegistryUnavailableError,
    ServerError,
)
from tests.support.assignments import TURN_SECONDS, succeed
from tests.support.redis_client import Redis
from tests.support.stores import Stores
from tests.support.waiting import becomes
from worker.errors import DeferError, JobLostError
from worker.redis_tag_order import RedisTagOrder

KEYS = Keys()
TAG = "localhost:15000/team/app:1"
OLD, NEW = "sha256:old", "sha256:new"
WATCH_SECONDS = 100


@pytest.fixture
def stores(redis: Redis) -> Stores:
    return Stores(redis, KEYS, tag_watch_seconds=WATCH_SECONDS)


@pytest.fixture
async def assignments(stores: Stores) -> tuple[Assignment, Assignment]:
    """Of two jobs for the tag, the older one first."""
    return await start(stores, "old"), await start(stores, "new")


async def start(stores: Stores, job_id: str, *, ordered: bool = True) -> Assignment:
    await stores.jobs.create(make_job(id=job_id, source="/a", targets=[TAG], ordered=ordered))
    return await restart(stores, job_id)


async def restart(stores: Stores, job_id: str) -> Assignment:
    assignment = await stores.attempts.start(job_id, 0, "worker")
    assert isinstance(assignment, Assignment)
    return assignment


def turns(stores: Stores, assignment: Assignment, seconds: float = TURN_SECONDS) -> RedisTagOrder:
    return RedisTagOrder(stores.turns, assignment, seconds)


async def write_in_vain(turns: RedisTagOrder, error: BaseException) -> None:
    async with turns.turn(TAG, OLD) as turn:
        assert turn
        with turn.write():
            raise error


async def run_out(redis: Redis) -> None:
    await redis.delete(KEYS.tag_writer(TAG))


async def results(stores: Stores, job_id: str) -> list[str]:
    return [result.outcome for result in (await stores.jobs.status(job_id)).results]


async def unsettled(redis: Redis) -> list[str]:
    """Digests of the writes that may arrive yet."""
    found = await TagWrites(Database(redis, KEYS)).unsettled()
    return [write.digest for tag in found for write in tag.writes]


async def watched_for(redis: Redis) -> float:
    """Seconds until the first note is over."""
    (_, ends), *_ = await redis.zrange(KEYS.writes, 0, 0, withscores=True)
    seconds, microseconds = await redis.time()
    return float(ends / 1000 - seconds - microseconds / 1e6)


@pytest.fixture
def often_renewed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every millisecond, long before a turn ends."""
    monkeypatch.setattr("worker.periodic._RENEWALS", 1000 * TURN_SECONDS)


async def renewal(redis: Redis) -> None:
    """Return once the turn is renewed again."""
    await redis.pexpire(KEYS.tag_writer(TAG), int(2000 * TURN_SECONDS))

    async def renewed() -> bool:
        return bool(0 < await redis.pttl(KEYS.tag_writer(TAG)) <= 1000 * TURN_SECONDS)

    await becomes(renewed)


@pytest.mark.usefixtures("often_renewed")
async def test_a_turn_is_renewed_while_the_tag_is_written(
    stores: Stores, redis: Redis, assignments: tuple[Assignment, Assignment]
) -> None:
    old, _ = assignments
    async with turns(stores, old).turn(TAG, OLD):
        await renewal(redis)
    assert not await redis.exists(KEYS.tag_writer(TAG))
    assert await results(stores, "old") == ["pushed"]


async def test_who_comes_second_waits_for_its_turn(
    stores: Stores, assignments: tuple[Assignment, Assignment]
) -> None:
    old, new = assignments
    async with turns(stores, old).turn(TAG, OLD):
        second = asyncio.create_task(turns(stores, new).turn(TAG, NEW).__aenter__())
        done, _ = await asyncio.wait({second}, timeout=0.2)
        assert not done
    async with asyncio.timeout(60):
        assert await second


async def test_a_failure_gives_the_turn_up_and_notes_no_result(
    stores: Stores, redis: Redis, assignments: tuple[Assignment, Assignment]
) -> None:
    old, _ = assignments
    with pytest.raises(RegistryUnavailableError):
        async with turns(stores, old).turn(TAG, OLD):
            raise RegistryUnavailableError("gone")
    assert not await redis.exists(KEYS.tag_writer(TAG))
    assert not await redis.exists(KEYS.tag(TAG))
    assert await results(stores, "old") == []


async def test_a_worker_that_lost_its_job_writes_no_tag(
    stores: Stores, assignments: tuple[Assignment, Assignment]
) -> None:
    _, new = assignments
    await restart(stores, "new")
    with pytest.raises(JobLostError):
        async with turns(stores, new).turn(TAG, NEW):
            pytest.fail("it has a turn")


async def test_a_superseded_tag_is_left_alone(
    stores: Stores, redis: Redis, assignments: tuple[Assignment, Assignment]
) -> None:
    old, new = assignments
    await succeed(stores, new, NEW)
    async with turns(stores, old).turn(TAG, OLD) as turn:
        assert turn is None
    assert await redis.hget(KEYS.tag(TAG), "digest") == NEW.encode()
    assert await results(stores, "old") == ["superseded"]
    assert await unsettled(redis) == []


# Turns that run out


async def test_a_job_that_was_too_slow_goes_on_later(
    stores: Stores, redis: Redis, assignments: tuple[Assignment, Assignment]
) -> None:
    """The other one may have written before it or after it: nothing tells."""
    old, new = assignments
    turn = turns(stores, new).turn(TAG, NEW)
    assert await turn.__aenter__()
    await run_out(redis)
    await succeed(stores, old, OLD)
    with pytest.raises(DeferError, match="too slowly") as caught:
        await turn.__aexit__(None, None, None)
    assert caught.value.delay == 0
    assert await results(stores, "new") == []
    write = TagWrite(TAG, NEW, new.sequence)
    assert await stores.turns.take(new, write, TURN_SECONDS) is Turn.WRITE, "its turn is over"


async def test_nothing_is_sent_after_the_turn_by_this_process_s_own_clock(
    stores: Stores, assignments: tuple[Assignment, Assignment], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It was suspended after it got the turn."""
    old, _ = assignments
    loop = asyncio.get_running_loop()
    async with turns(stores, old).turn(TAG, OLD) as turn:
        assert turn
        wakes_up = loop.time() + TURN_SECONDS
        monkeypatch.setattr(loop, "time", lambda: wakes_up)
        with pytest.raises(DeferError, match="too slowly"), turn.write():
            pytest.fail("it writes")


@pytest.mark.usefixtures("often_renewed")
async def test_a_renewed_turn_goes_on(
    stores: Stores,
    redis: Redis,
    assignments: tuple[Assignment, Assignment],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    old, _ = assignments
    loop = asyncio.get_running_loop()
    time, passed = loop.time, 0.0
    monkeypatch.setattr(loop, "time", lambda: time() + passed)
    async with turns(stores, old).turn(TAG, OLD) as turn:
        assert turn
        for _ in range(2):
            # Of two renewals the first is over, and known of.
            await renewal(redis)
            await renewal(redis)
            passed += 0.6 * TURN_SECONDS
            with turn.write():
                pass
    assert await results(stores, "old") == ["pushed"]


# What is noted


async def test_a_write_is_noted_before_it_is_sent(
    stores: Stores, redis: Redis, assignments: tuple[Assignment, Assignment]
) -> None:
    old, _ = assignments
    async with turns(stores, old).turn(TAG, OLD) as turn:
        assert turn
        with turn.write():
            await run_out(redis)
            assert await unsettled(redis) == [OLD], "which stays if it dies here"
            assert await watched_for(redis) == pytest.approx(WATCH_SECONDS, abs=5)
            await redis.set(KEYS.tag_writer(TAG), (await redis.zrange(KEYS.writes, 0, 0))[0][:16])
    assert not await redis.exists(KEYS.writes), "answered in time"


@pytest.mark.parametrize(
    ("error", "known"),
    [
        (RegistryUnavailableError("reset"), False),
        (ServerError("gateway", status=504), False),
        (ServerError("internal", status=500), False),
        (ProtocolError("no HTTP", status=0), False),
        (asyncio.CancelledError(), False),
        (DeniedError("no", status=403), True),
    ],
)
async def test_a_write_without_an_answer_stays_noted(
    stores: Stores,
    redis: Redis,
    assignments: tuple[Assignment, Assignment],
    error: BaseException,
    known: bool,
) -> None:
    old, _ = assignments
    with pytest.raises(type(error)):
        await write_in_vain(turns(stores, old), error)
    assert await unsettled(redis) == ([] if known else [OLD])


async def test_a_write_stays_noted_though_it_was_sent_again(
    stores: Stores, redis: Redis, assignments: tuple[Assignment, Assignment]
) -> None:
    """The first one may arrive yet."""
    old, _ = assignments
    async with turns(stores, old).turn(TAG, OLD) as turn:
        assert turn
        with pytest.raises(RegistryError), turn.write():
            raise RegistryUnavailableError("reset")
        with turn.write():
            pass
    assert await results(stores, "old") == ["pushed"]
    assert await unsettled(redis) == [OLD]


async def test_what_is_read_back_in_vain_is_no_write(
    stores: Stores, redis: Redis, assignments: tuple[Assignment, Assignment]
) -> None:
    old, _ = assignments
    turn = turns(stores, old).turn(TAG, OLD)
    held = await turn.__aenter__()
    assert held
    with held.write():
        pass
    error = RegistryUnavailableError("reset")
    assert not await turn.__aexit__(type(error), error, None)
    assert not await redis.exists(KEYS.writes)


async def test_who_ends_late_has_the_tag_watched_from_then_on(
    stores: Stores, redis: Redis, assignments: tuple[Assignment, Assignment]
) -> None:
    """Its note is long over and forgotten."""
    old, new = assignments
    turn = turns(stores, old).turn(TAG, OLD)
    await turn.__aenter__()
    await run_out(redis)
    await redis.delete(KEYS.writes)
    await restart(stores, "old")
    await succeed(stores, new, NEW)
    with pytest.raises(DeferError):
        await turn.__aexit__(None, None, None)
    assert await unsettled(redis) == [OLD]
    assert await watched_for(redis) == pytest.approx(WATCH_SECONDS, abs=5)


async def test_who_ends_late_in_another_s_turn_has_the_tag_watched(
    stores: Stores, redis: Redis, assignments: tuple[Assignment, Assignment]
) -> None:
    """An attempt of the same job wrote the same image since, but a newer one is writing it now."""
    old, new = assignments
    stalled = turns(stores, old).turn(TAG, OLD)
    await stalled.__aenter__()
    await run_out(redis)
    await succeed(stores, await restart(stores, "old"), OLD)
    async with turns(stores, new).turn(TAG, NEW):
        with pytest.raises(DeferError):
            await stalled.__aexit__(None, None, None)
    assert await unsettled(redis) == [OLD]


@pytest.mark.usefixtures("often_renewed")
async def test_the_note_is_renewed_with_the_turn(
    stores: Stores, redis: Redis, assignments: tuple[Assignment, Assignment]
) -> None:
    old, _ = assignments
    async with turns(stores, old).turn(TAG, OLD):
        (note,) = await redis.zrange(KEYS.writes, 0, 0)
        await redis.zadd(KEYS.writes, {note: 1})

        async def renewed() -> bool:
            return await watched_for(redis) > WATCH_SECONDS - 5

        await becomes(renewed)


async def test_a_job_that_keeps_no_order_notes_nothing(stores: Stores, redis: Redis) -> None:
    assignment = await start(stores, "any", ordered=False)
    async with turns(stores, assignment).turn(TAG, OLD):
        assert not await redis.exists(KEYS.writes)
    with pytest.raises(RegistryUnavailableError):
        await write_in_vain(turns(stores, assignment), RegistryUnavailableError("reset"))
    assert not await redis.exists(KEYS.writes)
