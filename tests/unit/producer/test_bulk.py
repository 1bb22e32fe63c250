"""Bulk changes, as far as they differ from those of one job."""

import pytest

from producer import PushQueue
from producer.bulk import BulkAction, BulkChanges
from push_queue.errors import RedisRefusedError
from push_queue.models.assignments import Assignment
from push_queue.models.job import make_job
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import JobState
from push_queue.redis.database import Database
from tests.support.redis_client import Redis
from tests.support.stores import Stores

ALL_FAILED = JobFilter(state=JobState.FAILED)


async def fail(stores: Stores, *job_ids: str) -> None:
    for job_id in job_ids:
        await stores.jobs.create(make_job(id=job_id, source="/a", targets=["h/a:1"]))
        assignment = await stores.attempts.start(job_id, 0, "worker")
        assert isinstance(assignment, Assignment)
        await stores.attempts.fail(assignment, "no", "denied")


async def test_a_damaged_record_does_not_keep_the_others_from_being_changed(
    queue: PushQueue, stores: Stores, redis: Redis
) -> None:
    await fail(stores, "a", "b", "c")
    await redis.delete("push:job:b")
    await redis.set("push:job:b", "no hash")
    page = await BulkChanges(queue).change(BulkAction.RETRY, ALL_FAILED)
    assert [(job.id, job.state) for job in page.jobs] == [
        ("c", "queued"),
        ("b", "failed"),
        ("a", "queued"),
    ]
    assert page.next is None


async def test_a_redis_that_refuses_is_not_taken_for_damage(
    queue: PushQueue, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def refuse(*_: object) -> None:
        raise RedisRefusedError("is out of memory")

    await fail(stores, "a")
    monkeypatch.setattr(Database, "run_on_jobs", refuse)
    with pytest.raises(RedisRefusedError, match="out of memory"):
        await BulkChanges(queue).change(BulkAction.RETRY, ALL_FAILED)
