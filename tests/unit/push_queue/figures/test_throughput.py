"""What was done in the last hour, counted where it happens."""

import itertools
from typing import Any

import pytest

from push_queue.figures.throughput import MINUTES, Minute, Throughput
from push_queue.models.assignments import Assignment
from push_queue.models.job import make_job
from tests.support.assignments import succeed
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores

DIGEST = "sha256:" + "d" * 64
NUMBERS: Any = {"bytes_done": 1, "bytes_total": 9, "blobs_done": 0, "blobs_total": 1}


@pytest.fixture
def throughput(stores: Stores) -> Throughput:
    return Throughput(stores.database)


async def started(stores: Stores, job_id: str) -> Assignment:
    job = make_job(id=job_id, source="/app.tar", targets=["localhost:15000/app:1"])
    await stores.jobs.create(job)
    assignment = await stores.attempts.start(job_id, 0, "worker")
    assert isinstance(assignment, Assignment)
    return assignment


def figures(minute: Minute) -> tuple[int, int, int]:
    return minute.bytes_sent, minute.succeeded, minute.failed


async def test_an_hour_without_work_is_sixty_empty_minutes(throughput: Throughput) -> None:
    minutes = await throughput.last_hour()
    assert len(minutes) == MINUTES
    assert {figures(minute) for minute in minutes} == {(0, 0, 0)}
    steps = {(b.at - a.at).total_seconds() for a, b in itertools.pairwise(minutes)}
    assert steps == {60}


async def test_bytes_count_when_they_are_sent_and_jobs_when_they_end(
    stores: Stores, throughput: Throughput, clock: RedisClock
) -> None:
    one, other = await started(stores, "one"), await started(stores, "other")
    await stores.attempts.progress(one, **NUMBERS, bytes_sent=100)
    await stores.attempts.progress(one, **NUMBERS, bytes_sent=100)
    clock.advance(60)
    await stores.attempts.progress(one, **NUMBERS, bytes_sent=150)
    await stores.attempts.progress(other, **NUMBERS, bytes_sent=7)
    await succeed(stores, one, DIGEST)
    await stores.attempts.fail(other, "no", "denied")
    await stores.attempts.fail(other, "no", "denied")
    first, second = (await throughput.last_hour())[-2:]
    assert figures(first) == (100, 0, 0)
    assert figures(second) == (57, 1, 1)


async def test_an_old_minute_is_forgotten(
    stores: Stores, throughput: Throughput, redis: Redis, clock: RedisClock
) -> None:
    await stores.attempts.progress(await started(stores, "one"), **NUMBERS, bytes_sent=1)
    clock.advance(59 * 60)
    assert figures((await throughput.last_hour())[0]) == (1, 0, 0)
    clock.advance(60 * 60)
    assert not await redis.keys("push:minute:*")
