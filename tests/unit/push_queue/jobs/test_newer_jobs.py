"""Jobs that older workers leave to newer ones: where they wait, and who takes them when."""

import pytest
from arq.constants import in_progress_key_prefix

from push_queue.jobs.arq_queue import ArqQueue
from push_queue.models import formats
from push_queue.models.assignments import Assignment, Wait
from push_queue.models.formats import FORMAT
from push_queue.models.job import make_job
from push_queue.models.job_status import JobState, Outcome
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores

KEYS = Keys("newer")
NEWER = FORMAT + 1
LEASE_SECONDS = 15
LOOK_SECONDS = 15 * 60


class Workers:
    """The fleet's workers, of both releases, as far as they deal with the queue."""

    def __init__(self, redis: Redis, monkeypatch: pytest.MonkeyPatch) -> None:
        self.stores = Stores(redis, KEYS, lease_seconds=0)
        self.dispatch = ArqQueue(Database(redis, KEYS))
        self._redis = redis
        self._monkeypatch = monkeypatch

    def upgrade(self) -> None:
        self._monkeypatch.setattr(formats, "FORMAT", NEWER)

    def roll_back(self) -> None:
        self._monkeypatch.setattr(formats, "FORMAT", FORMAT)

    async def enqueue(self, job_id: str, *, newer: bool = True, **options: object) -> None:
        target = f"localhost:15000/{job_id}:1"
        await self.stores.jobs.create(make_job(id=job_id, source="/a", targets=[target], **options))
        if newer:
            await self._redis.hset(KEYS.job(job_id), "format", NEWER)

    async def take(self, most: int = 10) -> list[str]:
        """A worker starts what it takes; gives the jobs that it runs."""
        running = []
        for arq_id, place in await self.dispatch.take(most, LEASE_SECONDS):
            job_id = arq_id.split(":")[1]
            match await self.stores.attempts.start(job_id, 0, "worker", place):
                case Assignment():
                    running.append(job_id)
                case Wait(seconds):
                    await self.dispatch.hold(arq_id, seconds, LEASE_SECONDS)
                    await self._redis.delete(in_progress_key_prefix + arq_id)
        return running


@pytest.fixture
def workers(redis: Redis, clock: RedisClock, monkeypatch: pytest.MonkeyPatch) -> Workers:
    return Workers(redis, monkeypatch)


async def test_an_older_worker_looks_seldom(workers: Workers, clock: RedisClock) -> None:
    await workers.enqueue("a")
    assert await workers.take() == []
    clock.advance(LOOK_SECONDS - 1)
    assert await workers.dispatch.take(1, LEASE_SECONDS) == []
    clock.advance(LOOK_SECONDS + 1)
    assert len(await workers.dispatch.take(1, LEASE_SECONDS)) == 1, "nobody came; it is not lost"


async def test_a_newer_worker_takes_them_at_once_and_at_their_places(workers: Workers) -> None:
    await workers.enqueue("low", priority="low")
    await workers.enqueue("high", priority="high")
    assert await workers.take() == []
    await workers.enqueue("normal", newer=False)
    workers.upgrade()
    assert await workers.take(2) == ["high", "normal"]
    assert await workers.take() == ["low"]


async def test_what_is_over_is_not_taken(workers: Workers, redis: Redis) -> None:
    await workers.enqueue("a")
    await workers.take()
    await workers.stores.jobs.cancel("a")
    workers.upgrade()
    assert await workers.dispatch.take(10, LEASE_SECONDS) == []
    await workers.dispatch.take(10, LEASE_SECONDS)
    assert not await redis.keys(f"{KEYS.newer}*")


async def test_one_that_is_put_off_is_not_taken_before_its_time(
    workers: Workers, redis: Redis
) -> None:
    await workers.enqueue("a")
    await workers.take()
    workers.upgrade()
    assert await workers.take() == ["a"]
    arq_id = KEYS.arq_job_id("a", 0)
    await workers.dispatch.hold(arq_id, 60, LEASE_SECONDS)
    await redis.delete(in_progress_key_prefix + arq_id)
    assert await workers.dispatch.take(1, LEASE_SECONDS) == []


async def test_a_newer_worker_that_dies_over_one_loses_it_to_another(
    workers: Workers, clock: RedisClock, redis: Redis
) -> None:
    await workers.enqueue("a")
    await workers.take()
    workers.upgrade()
    assert len(await workers.dispatch.take(1, LEASE_SECONDS)) == 1
    assert await workers.dispatch.take(1, LEASE_SECONDS) == [], "it has a lease"
    clock.advance(LEASE_SECONDS + 1)
    await redis.delete(in_progress_key_prefix + KEYS.arq_job_id("a", 0))
    assert await workers.take() == ["a"]


async def test_after_a_roll_back_it_waits_again(
    workers: Workers, clock: RedisClock, redis: Redis
) -> None:
    workers.upgrade()
    await workers.enqueue("a")
    assert await workers.take() == ["a"]
    workers.roll_back()
    clock.advance(LEASE_SECONDS + 1)
    await redis.delete(in_progress_key_prefix + KEYS.arq_job_id("a", 0))
    assert await workers.take() == []
    assert [a.outcome for a in await workers.stores.jobs.attempts("a")] == [Outcome.LOST]
    workers.upgrade()
    assert await workers.take() == ["a"]


async def test_one_that_kills_its_workers_ends_with_its_attempts_whoever_finds_it(
    workers: Workers, clock: RedisClock, redis: Redis
) -> None:
    await workers.enqueue("a", max_attempts=2)
    for _ in range(2):
        workers.upgrade()
        assert await workers.take() == ["a"]
        workers.roll_back()
        clock.advance(LEASE_SECONDS + 1)
        await redis.delete(in_progress_key_prefix + KEYS.arq_job_id("a", 0))
        assert await workers.take() == []
        assert (await workers.stores.jobs.status("a")).state is JobState.QUEUED
    workers.upgrade()
    assert await workers.take() == []
    job = await workers.stores.jobs.status("a")
    assert (job.state, job.error_kind, job.attempt) == (JobState.FAILED, "worker_lost", 2)
