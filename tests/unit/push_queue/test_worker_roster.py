from datetime import UTC, datetime

import pytest

from push_queue.models.fleet import WorkerInfo
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.worker_roster import WorkerRoster
from tests.support.redis_client import Redis

TTL = 30


@pytest.fixture
def workers(redis: Redis) -> WorkerRoster:
    return WorkerRoster(Database(redis, Keys("push")))


def a_worker(worker_id: str = "host:1", *jobs: str) -> WorkerInfo:
    started = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    return WorkerInfo(
        id=worker_id, host="host", pid=1, version="0.1", started_at=started,
        running=len(jobs), jobs=jobs,
    )  # fmt: skip


async def test_workers_that_report_are_alive(workers: WorkerRoster) -> None:
    await workers.report(a_worker(), TTL)
    await workers.report(a_worker("host:1", "job-1", "job-2"), TTL)
    assert await workers.alive() == [a_worker("host:1", "job-1", "job-2")]


async def test_a_worker_from_before_workers_named_their_jobs_is_alive(
    workers: WorkerRoster, redis: Redis
) -> None:
    await workers.report(a_worker("host:1", "job-1"), TTL)
    await redis.hdel("push:worker:host:1", "jobs")
    (worker,) = await workers.alive()
    assert (worker.running, worker.jobs) == (1, ())


async def test_each_learns_how_many_are_alive(
    workers: WorkerRoster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.0)
    assert await workers.report(a_worker("host:1"), TTL) == 1
    assert await workers.report(a_worker("host:2"), TTL) == 2
    assert await workers.report(a_worker("host:1"), 2 * TTL) == 2
    monkeypatch.setattr("time.time", lambda: 1000.0 + TTL)
    assert await workers.report(a_worker("host:1"), TTL) == 1


async def test_a_worker_that_stops_is_gone(workers: WorkerRoster, redis: Redis) -> None:
    await workers.report(a_worker(), TTL)
    await workers.remove("host:1")
    assert await workers.alive() == []
    assert await redis.dbsize() == 0


async def test_a_worker_that_falls_silent_is_gone(
    workers: WorkerRoster, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("time.time", lambda: 1000.0)
    await workers.report(a_worker(), TTL)
    monkeypatch.setattr("time.time", lambda: 1000.0 + TTL)
    assert await workers.alive() == []
    await workers.report(a_worker("host:2"), TTL)
    assert await redis.zrange("push:workers", 0, -1) == [b"host:2"]


async def test_a_worker_whose_hash_expired_first_is_gone(
    workers: WorkerRoster, redis: Redis
) -> None:
    await workers.report(a_worker(), TTL)
    assert 0 < await redis.ttl("push:worker:host:1") <= TTL
    await redis.delete("push:worker:host:1")
    assert await workers.alive() == []
