"""A job whose source was deleted is not run again: it could only fail."""

from pathlib import Path

import pytest

from producer import PushQueue
from producer.bulk import BulkAction, BulkChanges
from push_queue.errors import SourceGoneError
from push_queue.jobs.sources import DELETED, GONE
from push_queue.models.assignments import Assignment
from push_queue.models.job import make_job
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import JobState
from push_queue.settings import Settings
from tests.support.assignments import succeed
from tests.support.stores import Stores

UPLOAD_ID = "01m8hk0q2qaxfdv5560caxpe4b"
UPLOAD = f"upload:{UPLOAD_ID}"
DIGEST = "sha256:" + "d" * 64


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    return settings.model_copy(update={"spool": tmp_path})


async def push(stores: Stores, source: str, outcome: str | None, job_id: str = "a") -> None:
    """Have the job succeed, and this happen to its source."""
    await stores.jobs.create(make_job(id=job_id, source=source, targets=["h/a:1"]))
    assignment = await stores.attempts.start(job_id, 0, "worker")
    assert isinstance(assignment, Assignment)
    await succeed(stores, assignment, DIGEST)
    if outcome:
        await stores.sources.note_cleanup(job_id, outcome)


async def is_refused(queue: PushQueue, job_id: str = "a") -> bool:
    before = await queue.status(job_id)
    try:
        after = await queue.retry(job_id)
    except SourceGoneError:
        assert await queue.status(job_id) == before
        return True
    assert after.state is JobState.QUEUED
    return False


@pytest.mark.parametrize("outcome", [DELETED, GONE])
async def test_an_upload_that_a_worker_has_deleted_does_not_come_again(
    queue: PushQueue, stores: Stores, tmp_path: Path, outcome: str
) -> None:
    (tmp_path / f"{UPLOAD_ID}.tar").touch()
    await push(stores, UPLOAD, outcome)
    assert await is_refused(queue)


async def test_an_upload_that_is_not_in_the_spool_is_gone(
    queue: PushQueue, stores: Stores, tmp_path: Path
) -> None:
    await push(stores, UPLOAD, "kept: another job needs it")
    assert await is_refused(queue)
    (tmp_path / f"{UPLOAD_ID}.tar").touch()
    assert not await is_refused(queue)


async def test_a_file_that_was_deleted_may_have_been_written_again(
    queue: PushQueue, stores: Stores, tmp_path: Path
) -> None:
    tar = tmp_path / "app.tar"
    await push(stores, str(tar), DELETED)
    assert await is_refused(queue)
    tar.touch()
    assert not await is_refused(queue)


async def test_a_file_may_be_where_workers_alone_see_it(queue: PushQueue, stores: Stores) -> None:
    await push(stores, "/only/there/app.tar", None)
    assert not await is_refused(queue)


async def test_a_job_that_is_not_final_stays_as_it_is(queue: PushQueue, stores: Stores) -> None:
    await stores.jobs.create(make_job(id="a", source=UPLOAD, targets=["h/a:1"]))
    assert (await queue.retry("a")).state is JobState.QUEUED


@pytest.mark.parametrize("dry_run", [True, False])
async def test_in_bulk_they_are_left_out(queue: PushQueue, stores: Stores, dry_run: bool) -> None:
    await push(stores, UPLOAD, DELETED)
    await push(stores, "/images/app.tar", None, "b")
    succeeded = JobFilter(state=JobState.SUCCEEDED)
    page = await BulkChanges(queue).change(BulkAction.RETRY, succeeded, dry_run=dry_run)
    assert [job.id for job in page.jobs] == ["b"]
    assert (await queue.status("a")).state is JobState.SUCCEEDED
