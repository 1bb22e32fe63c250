"""Who enqueued, retried and cancelled a job, where that is known."""

import pytest

from push_queue.models import formats
from push_queue.models.assignments import Assignment, Wait
from push_queue.models.formats import FIRST_FORMAT, NAMES_CALLERS
from push_queue.models.job import PushJob, make_job
from push_queue.models.job_status import JobState
from push_queue.redis.keys import Keys
from tests.support.assignments import succeed
from tests.support.redis_client import Redis
from tests.support.stores import Stores

KEYS = Keys("named")
JOB = make_job(id="a", source="/a.tar", targets=["localhost:15000/a:1"])


@pytest.fixture
def stores(redis: Redis) -> Stores:
    return Stores(redis, KEYS)


async def format_of_record(redis: Redis, job: PushJob = JOB) -> int:
    return int((await redis.hget(KEYS.job(job.id), "format")) or 0)


async def callers(stores: Stores) -> tuple[str | None, str | None, str | None]:
    job = await stores.jobs.status(JOB.id)
    return job.enqueued_by, job.retried_by, job.cancelled_by


async def test_a_job_says_who_did_what(stores: Stores) -> None:
    job, _ = await stores.jobs.create(JOB, caller="ci")
    assert job.enqueued_by == "ci"
    await stores.jobs.cancel(JOB.id, caller="operator")
    assert await callers(stores) == ("ci", None, "operator")
    await stores.jobs.requeue(JOB.id, caller="alice")
    assert await callers(stores) == ("ci", "alice", None)


async def test_it_says_nothing_of_those_who_are_not_known(stores: Stores, redis: Redis) -> None:
    await stores.jobs.create(JOB)
    await stores.jobs.cancel(JOB.id)
    await stores.jobs.requeue(JOB.id)
    assert await callers(stores) == (None, None, None)
    assert await format_of_record(redis) == FIRST_FORMAT


async def test_who_comes_second_is_not_named(stores: Stores) -> None:
    await stores.jobs.create(JOB, caller="ci")
    await stores.jobs.create(JOB, caller="other")
    await stores.jobs.requeue(JOB.id, caller="other")
    await stores.jobs.cancel(JOB.id, caller="operator")
    await stores.jobs.cancel(JOB.id, caller="other")
    assert await callers(stores) == ("ci", None, "operator")


async def test_who_has_a_running_job_stopped_is_named_at_once(stores: Stores) -> None:
    await stores.jobs.create(JOB)
    await stores.attempts.start(JOB.id, 0, "worker")
    assert await stores.jobs.cancel(JOB.id, caller="operator") is JobState.RUNNING
    await stores.jobs.cancel(JOB.id, caller="other")
    assert await callers(stores) == (None, None, "operator")


@pytest.mark.parametrize("change", ["create", "cancel", "requeue"])
async def test_workers_that_would_refuse_the_name_leave_a_job_that_nobody_has_started(
    stores: Stores, redis: Redis, monkeypatch: pytest.MonkeyPatch, change: str
) -> None:
    await stores.jobs.create(JOB, caller="ci" if change == "create" else None)
    if change != "create":
        await stores.jobs.cancel(JOB.id, caller="ci" if change == "cancel" else None)
        await stores.jobs.requeue(JOB.id, caller="ci" if change == "requeue" else None)
    assert await format_of_record(redis) == NAMES_CALLERS
    generation = (await stores.jobs.status(JOB.id)).generation
    with monkeypatch.context() as older:
        older.setattr(formats, "FORMAT", NAMES_CALLERS - 1)
        assert isinstance(await stores.attempts.start(JOB.id, generation, "older"), Wait)
    assert isinstance(await stores.attempts.start(JOB.id, generation, "newer"), Assignment)


async def test_older_workers_run_a_job_again_that_one_has_started(
    stores: Stores, redis: Redis, monkeypatch: pytest.MonkeyPatch
) -> None:
    await stores.jobs.create(JOB)
    assignment = await stores.attempts.start(JOB.id, 0, "older")
    assert isinstance(assignment, Assignment)
    await succeed(stores, assignment, "sha256:" + "d" * 64)
    await stores.jobs.requeue(JOB.id, caller="alice")
    assert await format_of_record(redis) == FIRST_FORMAT
    monkeypatch.setattr(formats, "FORMAT", FIRST_FORMAT)
    assert isinstance(await stores.attempts.start(JOB.id, 1, "older"), Assignment)


async def test_a_newer_format_stays(stores: Stores, redis: Redis) -> None:
    await stores.jobs.create(JOB)
    await redis.hset(KEYS.job(JOB.id), "format", NAMES_CALLERS + 1)
    await stores.jobs.cancel(JOB.id, caller="operator")
    assert await format_of_record(redis) == NAMES_CALLERS + 1
