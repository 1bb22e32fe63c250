"""Lost jobs come back into the queue, by the one worker that leads."""

import asyncio

import pytest

from push_queue.models.assignments import Assignment
from push_queue.models.job import make_job
from push_queue.models.job_status import JobState
from push_queue.pauses import Pauses
from push_queue.redis.keys import Keys
from push_queue.redis.lease import Lease
from tests.support.assignments import lose_in_arq
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores
from tests.support.tag_registry import TagRegistry
from worker import housekeeper as module
from worker import orphaned_jobs
from worker.housekeeper import Housekeeper, duties
from worker.orphaned_jobs import OrphanedJobs
from worker.tag_repair import TagRepair

KEYS = Keys()


@pytest.fixture
def housekeeper(redis: Redis, stores: Stores) -> Housekeeper:
    return housekeeper_of(redis, stores)


def housekeeper_of(
    redis: Redis, stores: Stores, problems: dict[str, str] | None = None
) -> Housekeeper:
    pauses = Pauses(stores.database)
    return Housekeeper(
        Lease(stores.database, KEYS.housekeeper, 10),
        duties(
            stores.queue,
            stores.jobs,
            pauses,
            TagRepair(stores.writes, pauses, TagRegistry().client, 15),
            OrphanedJobs(stores.queue, stores.jobs, stores.records),
        ),
        problems={} if problems is None else problems,
    )


async def lost(
    redis: Redis, stores: Stores, job_id: str, state: JobState = JobState.QUEUED
) -> None:
    """A job in that state that arq does not know."""
    await stores.jobs.create(make_job(id=job_id, source="/a", targets=["localhost:15000/app:1"]))
    await lose_in_arq(redis, KEYS, job_id)
    if state is JobState.QUEUED:
        return
    assignment = await stores.attempts.start(job_id, 0, "worker-1")
    assert isinstance(assignment, Assignment)
    match state:
        case JobState.RETRYING:
            await stores.attempts.retry(assignment, "refused", "registry_unavailable", 0)
        case JobState.FAILED:
            await stores.attempts.fail(assignment, "gone", "name_unknown")


async def in_queue(redis: Redis) -> set[str]:
    return {name.decode().split(":")[1] for name in await redis.zrange(KEYS.queue, 0, -1)}


@pytest.mark.parametrize("state", [JobState.QUEUED, JobState.RUNNING, JobState.RETRYING])
async def test_a_job_that_is_lost_for_two_rounds_is_enqueued_anew(
    state: JobState, housekeeper: Housekeeper, stores: Stores, redis: Redis
) -> None:
    await lost(redis, stores, "job-1", state)
    await housekeeper.work()
    assert await in_queue(redis) == set(), "it may just be on its way"
    await housekeeper.work()
    assert await in_queue(redis) == {"job-1"}


async def test_final_jobs_are_left_alone(
    housekeeper: Housekeeper, stores: Stores, redis: Redis
) -> None:
    await lost(redis, stores, "job-1", JobState.FAILED)
    await lost(redis, stores, "job-2")
    await housekeeper.work()
    await stores.jobs.cancel("job-2")
    for _ in range(2):
        await housekeeper.work()
    assert await in_queue(redis) == set()


async def test_a_job_that_became_final_while_it_was_found_is_left_alone(
    housekeeper: Housekeeper, stores: Stores, redis: Redis
) -> None:
    await lost(redis, stores, "job-1")
    await stores.jobs.cancel("job-1")
    # Its index is behind.
    await redis.zadd(KEYS.jobs_in(JobState.QUEUED), {"job-1": 1})
    for _ in range(2):
        await housekeeper.work()
    assert await in_queue(redis) == set()


async def test_a_job_whose_status_is_gone_stops_nobody(
    housekeeper: Housekeeper, stores: Stores, redis: Redis
) -> None:
    for number in range(3):
        await lost(redis, stores, f"job-{number}")
    await redis.delete(KEYS.job("job-0"))
    for _ in range(2):
        await housekeeper.work()
    assert await in_queue(redis) == {"job-1", "job-2"}


async def test_all_pages_are_searched(
    housekeeper: Housekeeper,
    stores: Stores,
    redis: Redis,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Also behind a page with a job that can never be enqueued."""
    monkeypatch.setattr(orphaned_jobs, "_PAGE", 2)
    for number in range(7):
        await lost(redis, stores, f"job-{number}")
    await redis.delete(KEYS.job("job-0"))
    for _ in range(16):
        await housekeeper.work()
    assert await in_queue(redis) == {f"job-{number}" for number in range(1, 7)}


async def test_only_the_leader_works(
    redis: Redis, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_INTERVAL", 0)
    rounds = {"leader": 0, "other": 0}
    enough = asyncio.Event()
    keepers = {}
    for name in rounds:

        async def work(name: str = name) -> None:
            rounds[name] += 1
            if rounds[name] == 5:
                enough.set()

        keepers[name] = housekeeper_of(redis, stores)
        monkeypatch.setattr(keepers[name], "work", work)
    for keeper in keepers.values():
        keeper.start()
    async with asyncio.timeout(60):
        await enough.wait()
    for keeper in keepers.values():
        await keeper.stop()
    assert sorted(rounds.values())[0] == 0


async def test_a_record_that_makes_no_sense_stops_nobody(
    housekeeper: Housekeeper, stores: Stores, redis: Redis
) -> None:
    for number in range(4):
        await lost(redis, stores, f"job-{number}")
    await redis.hset(KEYS.job("job-0"), "targets", "[")
    await redis.hset(KEYS.job("job-0"), "next_attempt_at", "0001-01-01T00:00:00Z")
    await redis.set(KEYS.job("job-1"), "no hash")
    for _ in range(3):
        await housekeeper.work()
    assert await in_queue(redis) == {"job-2", "job-3"}
    for job in [await stores.jobs.status("job-0"), await stores.jobs.status("job-1")]:
        assert (job.state, job.error_kind) == (JobState.FAILED, "invalid_job")
    assert {job.id for job in await stores.jobs.statuses(JobState.FAILED)} == {"job-0", "job-1"}


async def test_a_duty_that_fails_costs_the_others_nothing(
    redis: Redis, stores: Stores, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    problems: dict[str, str] = {}
    keeper = housekeeper_of(redis, stores, problems)
    await lost(redis, stores, "job-1")
    # So the duty's script is refused.
    await redis.set(KEYS.waited_for, "no set")
    for _ in range(3):
        await keeper.work()
    assert await in_queue(redis) == {"job-1"}
    assert list(problems) == ["jobs that wait for registries"]
    assert "WRONGTYPE" in problems["jobs that wait for registries"]
    await redis.delete(KEYS.waited_for)
    await keeper.work()
    assert problems == {}
    told = [record.getMessage() for record in caplog.records if "looked after" in record.message]
    assert [line.startswith("the queue is not looked after") for line in told] == [True, False]


async def test_pauses_that_are_over_are_forgotten(
    redis: Redis, stores: Stores, housekeeper: Housekeeper
) -> None:
    await Pauses(stores.database).pause("localhost:15000", seconds=0)
    await housekeeper.work()
    assert not await redis.exists(KEYS.paused)


async def test_jobs_that_have_expired_are_counted_no_longer(
    redis: Redis, stores: Stores, housekeeper: Housekeeper, clock: RedisClock
) -> None:
    await lost(redis, stores, "a", JobState.FAILED)
    await redis.zadd(KEYS.finished, {"a": clock.now})
    await housekeeper.work()
    assert (await stores.jobs.counts())[JobState.FAILED] == 1, "its record is there for a moment"
    clock.advance(2)
    await housekeeper.work()
    assert (await stores.jobs.counts())[JobState.FAILED] == 0
