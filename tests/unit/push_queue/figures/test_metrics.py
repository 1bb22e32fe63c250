"""The figures of the queue agree with what happened to its jobs."""

from datetime import timedelta
from typing import Any

import pytest

from push_queue.figures.metrics import Ended, QueueReport
from push_queue.jobs.waiting import WaitingJobs
from push_queue.models.assignments import Assignment, Wait
from push_queue.models.fleet import WorkerInfo
from push_queue.models.job import Priority, make_job
from push_queue.models.job_status import JobState
from push_queue.redis.lease import Lease
from push_queue.worker_roster import WorkerRoster
from tests.support.assignments import succeed
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores

DIGEST = "sha256:" + "d" * 64
REGISTRY = "localhost:15000"
NUMBERS: Any = {"bytes_done": 1, "bytes_total": 9, "blobs_done": 0, "blobs_total": 1}
NOBODY = WaitingJobs(0, 0, 0)


@pytest.fixture
def report(stores: Stores) -> QueueReport:
    return QueueReport(stores.database, 50)


async def create(stores: Stores, job_id: str, **options: Any) -> None:
    not_before = options.pop("not_before", None)
    job = make_job(id=job_id, source="/app.tar", targets=[f"{REGISTRY}/app:{job_id}"], **options)
    await stores.jobs.create(job, not_before=not_before)


async def start(stores: Stores, job_id: str, generation: int = 0) -> Assignment:
    assignment = await stores.attempts.start(job_id, generation, "worker")
    assert isinstance(assignment, Assignment)
    return assignment


async def waiting(report: QueueReport, priority: Priority = "normal") -> WaitingJobs:
    return (await report.read()).waiting[priority]


async def test_an_empty_queue_has_all_figures(report: QueueReport) -> None:
    figures = await report.read()
    assert figures.jobs == dict.fromkeys(JobState, 0)
    assert figures.waiting == {"low": NOBODY, "normal": NOBODY, "high": NOBODY}
    assert (figures.ended, figures.bytes_sent, figures.events) == ({}, 0, 0)
    assert (figures.registries, figures.workers, figures.housekeeper_seconds) == ((), (), 0)


async def test_due_jobs_are_counted_by_priority_with_the_age_of_the_oldest(
    stores: Stores, report: QueueReport, clock: RedisClock
) -> None:
    await create(stores, "first")
    clock.advance(60)
    await create(stores, "second")
    await create(stores, "urgent", priority="high")
    await create(stores, "tomorrow", not_before=timedelta(days=1))
    clock.advance(5)
    figures = await report.read()
    assert figures.waiting == {
        "low": NOBODY,
        "normal": (2, 65, 1),
        "high": (1, 5, 0),
    }
    assert figures.jobs[JobState.QUEUED] == 4


async def test_a_scheduled_job_is_as_old_as_it_has_been_due(
    stores: Stores, report: QueueReport, clock: RedisClock
) -> None:
    await create(stores, "later", not_before=timedelta(seconds=100))
    clock.advance(130)
    assert await waiting(report) == (1, 30, 0)


async def test_jobs_that_run_or_have_ended_do_not_wait(stores: Stores, report: QueueReport) -> None:
    for job_id in ("runs", "done", "failed", "cancelled"):
        await create(stores, job_id)
    await start(stores, "runs")
    await succeed(stores, await start(stores, "done"), DIGEST)
    await stores.attempts.fail(await start(stores, "failed"), "no", "denied")
    await stores.jobs.cancel("cancelled")
    figures = await report.read()
    assert figures.waiting["normal"] == NOBODY
    assert figures.ended == {
        Ended("succeeded", ""): 1,
        Ended("failed", "denied"): 1,
        Ended("cancelled", ""): 1,
    }


async def test_a_retry_waits_until_its_time_and_a_job_handed_back_at_once(
    stores: Stores, report: QueueReport, clock: RedisClock
) -> None:
    await create(stores, "retried")
    await create(stores, "released")
    await stores.attempts.retry(await start(stores, "retried"), "reset", "server_error", 40)
    await stores.attempts.release(await start(stores, "released"))
    assert await waiting(report) == (1, 0, 1)
    clock.advance(50)
    assert await waiting(report) == (2, 50, 0)


async def test_a_job_that_is_enqueued_again_waits_again_and_ends_twice(
    stores: Stores, report: QueueReport
) -> None:
    await create(stores, "again", priority="low")
    await stores.attempts.fail(await start(stores, "again"), "no", "denied")
    await stores.jobs.requeue("again")
    assert (await waiting(report, "low")).due == 1
    await succeed(stores, await start(stores, "again", 1), DIGEST)
    assert sum((await report.read()).ended.values()) == 2


async def test_a_job_that_its_registry_holds_back_does_not_wait_for_a_worker(
    stores: Stores, report: QueueReport, clock: RedisClock
) -> None:
    await create(stores, "held", priority="high")
    await stores.limits.pause(REGISTRY, "it is down", 20)
    assert isinstance(await stores.attempts.start("held", 0, "worker"), Wait)
    # As the worker does with a job that has to wait.
    await stores.queue.hold("push:held:0", 900, 15)
    clock.advance(10)
    figures = await report.read()
    assert figures.waiting["high"] == NOBODY
    (registry,) = figures.registries
    assert (registry.name, registry.waiting) == (REGISTRY, 1)
    clock.advance(20)
    assert await stores.queue.release() == 1
    clock.advance(3)
    assert await waiting(report, "high") == (1, 3, 0)
    await start(stores, "held")
    assert await waiting(report, "high") == NOBODY


async def test_a_registry_is_paused_since_the_first_pause_in_a_row(
    stores: Stores, report: QueueReport, clock: RedisClock
) -> None:
    async def seconds() -> float | None:
        (registry,) = (await report.read()).registries
        since = registry.paused_since
        return None if since is None else clock.now - since.timestamp()

    await stores.limits.pause(REGISTRY, "it is down")
    clock.advance(30)
    await stores.limits.pause(REGISTRY, "it is still down")
    clock.advance(30)
    assert await seconds() == pytest.approx(60, abs=0.001)
    await create(stores, "probe")
    probe = await start(stores, "probe")
    await succeed(stores, probe, DIGEST)
    assert await seconds() is None


async def test_registries_are_those_that_were_used_within_a_day(
    stores: Stores, report: QueueReport, clock: RedisClock
) -> None:
    await stores.limits.take_slot("one.example", "token", 10)
    clock.advance(3600)
    await stores.limits.take_slot("two.example", "token", 10)
    registries = (await report.read()).registries
    assert [(one.name, one.uploads, one.max_uploads) for one in registries] == [
        ("two.example", 1, 50),
        ("one.example", 0, 50),
    ]
    clock.advance(23 * 3600 + 1)
    assert [one.name for one in (await report.read()).registries] == ["two.example"]


async def test_bytes_are_added_up_over_attempts(stores: Stores, report: QueueReport) -> None:
    await create(stores, "job")
    assignment = await start(stores, "job")
    for sent in (100, 250):
        await stores.attempts.progress(assignment, **NUMBERS, bytes_sent=sent)
    assert (await report.read()).bytes_sent == 250


async def test_the_housekeeper_has_a_lease_and_workers_say_what_they_run(
    stores: Stores, report: QueueReport
) -> None:
    assert await Lease(stores.database, stores.database.keys.housekeeper, 10).take()
    worker = WorkerInfo.model_validate(
        {
            "id": "w",
            "host": "h",
            "pid": 1,
            "version": "1",
            "started_at": "2026-01-01T00:00:00Z",
            "running": 2,
            "max_jobs": 10,
        }
    )
    await WorkerRoster(stores.database).report(worker, ttl=15)
    figures = await report.read()
    assert 0 < figures.housekeeper_seconds <= 10
    assert [(one.running, one.max_jobs) for one in figures.workers] == [(2, 10)]


async def test_jobs_that_older_workers_have_left_in_the_lists_are_taken_out(
    stores: Stores, report: QueueReport, redis: Redis
) -> None:
    await create(stores, "waits")
    await create(stores, "ran")
    await start(stores, "ran")
    await redis.zadd("push:jobs:due:normal", {"ran": 1, "gone": 2})
    assert await stores.queue.tidy_due() == 2
    assert (await waiting(report)).due == 1
