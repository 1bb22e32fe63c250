"""Jobs in arq's queue: their order, and those that it lost."""

from datetime import UTC, datetime, timedelta

import pytest
from arq.connections import ArqRedis
from arq.constants import in_progress_key_prefix, job_key_prefix
from arq.jobs import serialize_job

from push_queue.jobs.arq_queue import LEADS, TASK, ArqQueue
from push_queue.models.job import make_job
from push_queue.models.job_status import JobState, JobStatus
from push_queue.redis import arq_codec
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from tests.support.assignments import lose_in_arq
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores

LEASE_SECONDS = 15


@pytest.fixture(params=["push", "a.b-c", "a%b*"])
def keys(request: pytest.FixtureRequest) -> Keys:
    """Namespaces that would be patterns, too."""
    return Keys(request.param)


@pytest.fixture
def dispatch(redis: ArqRedis, keys: Keys) -> ArqQueue:
    return ArqQueue(Database(redis, keys))


async def create(
    stores: Stores,
    job_id: str,
    *,
    not_before: datetime | timedelta | None = None,
    **fields: object,
) -> JobStatus:
    job = make_job(id=job_id, source="/a", targets=["localhost:15000/app:1"], **fields)
    status, _ = await stores.jobs.create(job, not_before=not_before)
    return status


async def order(redis: ArqRedis, keys: Keys) -> list[str]:
    """The queue as arq reads it."""
    names = await redis.zrange(keys.queue, 0, -1)
    return [name.decode().removeprefix(f"{keys.namespace}:").split(":")[0] for name in names]


async def age(redis: ArqRedis, keys: Keys, job_id: str, span: timedelta) -> None:
    await redis.zincrby(keys.queue, -span.total_seconds() * 1000, keys.arq_job_id(job_id, 0))


async def test_the_higher_priority_goes_first(
    dispatch: ArqQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    for priority in ("low", "normal", "high"):
        await create(stores, priority, priority=priority)
    assert await order(redis, keys) == ["high", "normal", "low"]


@pytest.mark.parametrize(("minutes", "first"), [(14, "normal"), (16, "low")])
async def test_a_job_that_has_waited_long_is_not_overtaken(
    minutes: int, first: str, dispatch: ArqQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    await create(stores, "low", priority="low")
    await age(redis, keys, "low", timedelta(minutes=minutes))
    await create(stores, "normal")
    assert (await order(redis, keys))[0] == first


async def test_a_job_is_not_run_before_its_time(
    dispatch: ArqQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    due = datetime.now(UTC).replace(microsecond=0) + timedelta(hours=1)
    await create(stores, "job-1", not_before=due, priority="high")
    assert await redis.zscore(keys.queue, keys.arq_job_id("job-1", 0)) == due.timestamp() * 1000
    assert await dispatch.promote() == 0


async def test_a_job_that_was_put_off_gets_its_lead_when_it_is_due(
    dispatch: ArqQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    due = datetime.now(UTC) + timedelta(hours=1)
    for priority in LEADS:
        await create(stores, priority, not_before=due, priority=priority)
        await age(redis, keys, priority, timedelta(hours=1, seconds=1))
    await create(stores, "later", not_before=due)
    await create(stores, "placed", priority="low")
    before = dict(await redis.zrange(keys.queue, 0, -1, withscores=True))
    assert await dispatch.promote() == 3
    after = dict(await redis.zrange(keys.queue, 0, -1, withscores=True))
    moved = {name: before[name] - after[name] for name in before if before[name] != after[name]}
    assert moved == {
        keys.arq_job_id(priority, 0).encode(): lead.total_seconds() * 1000
        for priority, lead in LEADS.items()
    }
    assert await dispatch.promote() == 0, "once"


@pytest.mark.parametrize("milliseconds", [0, 0.4, 0.5, 0.6, 999.9])
async def test_a_job_placed_in_the_millisecond_of_a_promotion_gets_its_lead_once(
    milliseconds: float,
    dispatch: ArqQueue,
    stores: Stores,
    redis: ArqRedis,
    keys: Keys,
    clock: RedisClock,
) -> None:
    clock.advance(milliseconds / 1000)
    await create(stores, "job-1", priority="low")
    assert await dispatch.promote() == 0


# Taking


async def test_jobs_are_taken_by_priority_for_a_lease(
    clock: RedisClock, dispatch: ArqQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    for priority in ("low", "normal", "high"):
        await create(stores, priority, priority=priority)
    names = [keys.arq_job_id(priority, 0) for priority in ("high", "normal", "low")]
    scores = [await redis.zscore(keys.queue, name) for name in names]
    taken = await dispatch.take(2, LEASE_SECONDS)
    assert taken == list(zip(names, scores, strict=True))[:2]
    for name in names[:2]:
        assert await redis.zscore(keys.queue, name) == (clock.now + LEASE_SECONDS) * 1000
        assert await redis.pttl(in_progress_key_prefix + name) == LEASE_SECONDS * 1000
    assert [name for name, _ in await dispatch.take(9, LEASE_SECONDS)] == names[2:]
    assert await dispatch.take(9, LEASE_SECONDS) == []


async def test_a_job_whose_lease_ran_out_is_taken_again(
    clock: RedisClock, dispatch: ArqQueue, stores: Stores
) -> None:
    await create(stores, "job-1")
    await dispatch.take(1, LEASE_SECONDS)
    clock.advance(LEASE_SECONDS - 1)
    assert await dispatch.take(1, LEASE_SECONDS) == []
    clock.advance(1.001)
    assert len(await dispatch.take(1, LEASE_SECONDS)) == 1


async def test_a_job_is_not_taken_before_its_time(
    clock: RedisClock, dispatch: ArqQueue, stores: Stores
) -> None:
    delay = timedelta(minutes=1)
    await create(stores, "job-1", not_before=delay, priority="high")
    clock.advance(59)
    assert await dispatch.take(1, LEASE_SECONDS) == []
    clock.advance(1)
    assert len(await dispatch.take(1, LEASE_SECONDS)) == 1


async def test_a_job_that_another_runs_though_it_is_due_is_passed_over(
    dispatch: ArqQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    for job_id in ("job-1", "job-2"):
        await create(stores, job_id)
    await redis.set(in_progress_key_prefix + keys.arq_job_id("job-1", 0), b"1")
    taken = await dispatch.take(1, LEASE_SECONDS)
    assert [name for name, _ in taken] == [keys.arq_job_id("job-2", 0)]


@pytest.mark.parametrize("worker", ["puts it off", "dies before", "dies after"])
async def test_a_job_that_is_cancelled_as_it_is_put_off_leaves_the_queue(
    dispatch: ArqQueue,
    stores: Stores,
    redis: ArqRedis,
    keys: Keys,
    clock: RedisClock,
    worker: str,
) -> None:
    await create(stores, "job-1")
    ((name, _),) = await dispatch.take(1, LEASE_SECONDS)
    if worker == "dies after":
        await dispatch.hold(name, 1800, LEASE_SECONDS)
    await stores.jobs.cancel("job-1")
    if worker == "puts it off":
        await dispatch.hold(name, 1800, LEASE_SECONDS)
    await redis.delete(in_progress_key_prefix + name)  # As arq does, or as it runs out.
    ((again, _),) = await dispatch.take(1, LEASE_SECONDS)
    assert again == name


@pytest.mark.parametrize("seconds", [0, 1])
async def test_a_job_that_is_put_off_is_not_taken_before_its_worker_has_ended_with_it(
    dispatch: ArqQueue,
    stores: Stores,
    redis: ArqRedis,
    keys: Keys,
    clock: RedisClock,
    seconds: float,
) -> None:
    """Where that was the same worker, it took it for one that it still ran, until its lease."""
    await create(stores, "job-1")
    ((name, _),) = await dispatch.take(1, LEASE_SECONDS)
    await dispatch.hold(name, seconds, LEASE_SECONDS)
    clock.advance(LEASE_SECONDS - 1)
    assert await dispatch.take(1, LEASE_SECONDS) == []
    await redis.delete(in_progress_key_prefix + name)  # As arq does in the end.
    ((again, _),) = await dispatch.take(1, LEASE_SECONDS)
    assert again == name


# Handing over


async def test_a_job_that_arq_has_is_not_handed_over(
    dispatch: ArqQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    job = await create(stores, "job-1")
    before = await redis.zrange(keys.queue, 0, -1, withscores=True)
    assert not await dispatch.hand_over(job)
    assert await redis.zrange(keys.queue, 0, -1, withscores=True) == before


async def test_what_is_handed_over_is_what_arq_would_have_written(
    clock: RedisClock, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    await create(stores, "job-1")
    written = await redis.get(job_key_prefix + keys.arq_job_id("job-1", 0))
    now = int(clock.now * 1000)
    assert written == serialize_job(TASK, ("job-1", 0), {}, None, now, serializer=arq_codec.dumps)


async def test_a_cancelled_job_leaves_arq_at_once(
    stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    await create(stores, "job-1", not_before=timedelta(days=30))
    await stores.jobs.cancel("job-1")
    assert await redis.keys("arq:*") == []
    assert await redis.zcard(keys.queue) == 0


async def test_a_cancelled_job_that_was_just_taken_is_left_to_its_worker(
    dispatch: ArqQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    await create(stores, "job-1")
    await dispatch.take(1, LEASE_SECONDS)
    await stores.jobs.cancel("job-1")
    assert await redis.zcard(keys.queue) == 1
    assert await stores.attempts.start("job-1", 0, "worker-1") is None


# Lost jobs


@pytest.mark.parametrize("gone", [("entry",), ("record",), ("entry", "record")])
async def test_what_arq_lost_is_found_and_can_be_handed_over_again(
    gone: tuple[str, ...], dispatch: ArqQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    jobs = [await create(stores, f"job-{number}") for number in range(3)]
    name = keys.arq_job_id("job-1", 0)
    if "entry" in gone:
        await redis.zrem(keys.queue, name)
    if "record" in gone:
        await redis.delete(job_key_prefix + name)
    assert await dispatch.orphans(JobState.QUEUED, 0, 10) == (3, ["job-1"])
    assert await dispatch.hand_over(jobs[1])
    assert not await dispatch.hand_over(jobs[1]), "once"
    assert await dispatch.orphans(JobState.QUEUED, 0, 10) == (3, [])


async def test_what_arq_runs_is_not_lost(
    dispatch: ArqQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    await create(stores, "job-1")
    await lose_in_arq(redis, keys, "job-1")
    await redis.set(in_progress_key_prefix + keys.arq_job_id("job-1", 0), b"1")
    assert await dispatch.orphans(JobState.QUEUED, 0, 10) == (1, [])


async def test_lost_jobs_are_looked_for_page_by_page(
    dispatch: ArqQueue, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    ids = [f"job-{number}" for number in range(5)]
    for job_id in ids:
        await create(stores, job_id)
        await lose_in_arq(redis, keys, job_id)
    pages = [await dispatch.orphans(JobState.QUEUED, start, 2) for start in (0, 2, 4, 6)]
    assert pages == [(2, ids[:2]), (2, ids[2:4]), (1, ids[4:]), (0, [])]
    assert await dispatch.orphans(JobState.RUNNING, 0, 2) == (0, [])
