"""How long jobs wait, and what is saved."""

from datetime import timedelta

import pytest

from push_queue.figures.stats import QueueFigures
from push_queue.models.assignments import Assignment
from push_queue.models.job import Priority, make_job
from tests.support.assignments import succeed
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores

TARGET = "localhost:15000/app:1"


async def create(
    stores: Stores, job_id: str, priority: Priority = "normal", team: str = ""
) -> None:
    labels = {"team": team} if team else {}
    job = make_job(id=job_id, source="/app.tar", targets=[TARGET], priority=priority, labels=labels)
    await stores.jobs.create(job)


@pytest.mark.parametrize("priority", ["low", "normal", "high"])
@pytest.mark.parametrize("team", ["", "builds"])
async def test_the_first_job_waits_since_it_was_due(
    stores: Stores, clock: RedisClock, priority: Priority, team: str
) -> None:
    figures = QueueFigures(stores.database)
    assert (await figures.read()).oldest_due_seconds is None
    await create(stores, "a", priority, team)
    clock.advance(90)
    await create(stores, "b", priority, team)
    stats = await figures.read()
    assert (stats.due, stats.oldest_due_seconds) == (2, 90)


async def test_jobs_of_teams_and_those_that_start_later_are_told_apart(
    stores: Stores, clock: RedisClock
) -> None:
    job = make_job(id="a", source="/a.tar", targets=[TARGET], labels={"team": "가"})
    await stores.jobs.create(job, not_before=timedelta(seconds=60))
    figures = QueueFigures(stores.database)
    assert (await figures.read()).due == 0
    clock.advance(90)
    stats = await figures.read()
    assert (stats.due, stats.oldest_due_seconds) == (1, 30)


async def test_a_job_that_runs_is_not_due(stores: Stores) -> None:
    await create(stores, "a")
    assert await stores.attempts.start("a", 0, "worker")
    stats = await QueueFigures(stores.database).read()
    assert (stats.due, stats.oldest_due_seconds) == (0, None)


async def test_what_was_saved_counts_once_the_job_has_succeeded(stores: Stores) -> None:
    await create(stores, "a")
    assignment = await stores.attempts.start("a", 0, "worker")
    assert isinstance(assignment, Assignment)
    await stores.attempts.progress(
        assignment, bytes_done=9, bytes_total=9, blobs_done=1, blobs_total=1, bytes_saved=7
    )
    figures = QueueFigures(stores.database)
    assert (await figures.read()).last_hour.bytes_saved == 0
    await succeed(stores, assignment, "sha256:" + "d" * 64)
    hour = (await figures.read()).last_hour
    assert (hour.succeeded, hour.failed, hour.bytes_saved) == (1, 0, 7)


async def test_failures_are_counted_by_kind(stores: Stores, redis: Redis) -> None:
    await create(stores, "a")
    await redis.hset("push:job:a", "attempt", "5")
    assert await stores.attempts.start("a", 0, "worker") is None
    hour = (await QueueFigures(stores.database).read()).last_hour
    assert (hour.failed, hour.failures) == (1, {"worker_lost": 1})


async def test_a_job_whose_record_is_damaged_counts_as_failed(stores: Stores, redis: Redis) -> None:
    await create(stores, "a")
    await redis.hset("push:job:a", "targets", "no list")
    assert await stores.attempts.start("a", 0, "worker") is None
    hour = (await QueueFigures(stores.database).read()).last_hour
    assert (hour.failed, hour.failures) == (1, {"invalid_job": 1})
