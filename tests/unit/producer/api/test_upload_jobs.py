"""Jobs whose source is an upload: what is checked, how long it is kept, and who deletes it."""
# ruff: noqa: ASYNC240 - files of a few bytes

import os
import time
from pathlib import Path
from typing import Any

import pytest

from producer import PushQueue
from producer.spool.expiry import expire
from producer.spool.spool import NOTHING_LEFT_SECONDS, Spool
from push_queue.errors import RedisUnavailableError
from push_queue.settings import Settings
from tests.support.api import JOBS, TARGET, Answer, Api
from tests.support.images import ARCHIVES

UPLOADS = "/api/v1/uploads"
OTHER = "localhost:15000/team/other:1"
KEEP_SECONDS = 1000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def settings(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(
        update={"spool": folder, "spool_keep_free": 0, "spool_keep_seconds": KEEP_SECONDS}
    )


@pytest.fixture
def spool(settings: Settings) -> Spool:
    spool = Spool.of(settings)
    assert spool
    return spool


@pytest.fixture
async def source(api: Api, tmp_path: Path) -> str:
    """An upload that is an image tar."""
    return await upload(api, ARCHIVES["docker-oci"](tmp_path).path.read_bytes())


async def upload(api: Api, content: bytes) -> str:
    answer = await api.ask("PUT", f"{UPLOADS}/app.tar", data=content)
    source: str = answer.body["source"]
    return source


async def enqueue(api: Api, source: str, **fields: Any) -> Answer:
    return await api.post(JOBS, json={"source": source, "targets": [TARGET], **fields})


def age(folder: Path, source: str, seconds: float) -> None:
    moment = time.time() - seconds
    os.utime(folder / f"{source.removeprefix('upload:')}.json", (moment, moment))


async def test_a_job_names_an_upload(api: Api, source: str) -> None:
    answer = await enqueue(api, source)
    assert (answer.status, answer.body["source"]) == (202, source)
    assert answer.body["cleanup"] is True


async def test_the_last_job_of_a_batch_deletes_it(api: Api, source: str) -> None:
    jobs = [{"source": source, "targets": [target]} for target in (TARGET, OTHER)]
    jobs.append({"source": "/images/app.tar", "targets": [TARGET]})
    answer = await api.post(JOBS, json=jobs)
    assert [job["cleanup"] for job in answer.body["jobs"]] == [False, True, False]
    assert (await api.post(JOBS, json=jobs)).status == 202


async def test_the_same_job_again_needs_no_upload(api: Api, source: str, folder: Path) -> None:
    await enqueue(api, source, id="b1")
    (folder / f"{source.removeprefix('upload:')}.tar").unlink()
    assert (await enqueue(api, source, id="b1")).status == 202
    answer = await enqueue(api, source, id="b2")
    assert (answer.status, answer.kind) == (404, "unknown-upload")


@pytest.mark.parametrize("content", [b"", b"no tar at all", b"\0" * 20480])
async def test_what_is_no_image_tar_is_refused_and_deleted(
    api: Api, content: bytes, folder: Path
) -> None:
    source = await upload(api, content)
    answer = await enqueue(api, source)
    assert (answer.status, answer.kind) == (400, "invalid-archive")
    assert source in answer.problem
    assert str(folder) not in answer.problem
    assert list(folder.iterdir()) == []


async def test_an_upload_that_is_not_complete_is_refused(api: Api) -> None:
    source = (await api.post(UPLOADS)).body["source"]
    answer = await enqueue(api, source)
    assert (answer.status, answer.kind) == (409, "upload-incomplete")
    assert "not complete: 0 bytes are here" in answer.problem


async def test_an_upload_that_is_not_there_is_refused(api: Api) -> None:
    answer = await enqueue(api, "upload:" + "0" * 26)
    assert (answer.status, answer.kind) == (404, "unknown-upload")


@pytest.mark.parametrize("source", ["upload:", "upload:app.tar", "upload:../../etc/passwd"])
async def test_what_is_no_id_is_no_source(api: Api, source: str) -> None:
    answer = await enqueue(api, source)
    assert (answer.status, answer.kind) == (400, "invalid-request")


async def test_an_upload_that_nobody_uses_is_deleted(
    api: Api, queue: PushQueue, spool: Spool, folder: Path, source: str
) -> None:
    unfinished = (await api.post(UPLOADS)).body["source"]
    await expire(spool, queue)
    assert len(spool.ids()) == 2
    for each in (source, unfinished):
        age(folder, each, KEEP_SECONDS - 10)
    await expire(spool, queue)
    assert len(spool.ids()) == 2
    for each in (source, unfinished):
        age(folder, each, KEEP_SECONDS + 10)
    await expire(spool, queue)
    assert not list(folder.iterdir())


async def test_an_upload_that_a_job_waits_for_is_kept(
    api: Api, queue: PushQueue, spool: Spool, folder: Path, source: str
) -> None:
    job = (await enqueue(api, source)).body
    age(folder, source, KEEP_SECONDS + 10)
    await expire(spool, queue)
    assert len(spool.ids()) == 1
    # From the end of the job on, so that it can be retried.
    await api.post(f"{JOBS}/{job['id']}/cancel")
    await expire(spool, queue)
    assert len(spool.ids()) == 1
    age(folder, source, KEEP_SECONDS + 10)
    await expire(spool, queue)
    assert not list(folder.iterdir())


async def test_enqueueing_keeps_it(
    api: Api, queue: PushQueue, spool: Spool, folder: Path, source: str
) -> None:
    """Housekeeping may have looked for jobs just before this one was there."""
    age(folder, source, KEEP_SECONDS + 10)
    await enqueue(api, source)
    spool.expire(needed=frozenset())
    assert len(spool.ids()) == 1


async def test_the_record_of_one_that_was_pushed_goes_soon(
    queue: PushQueue, spool: Spool, folder: Path, source: str
) -> None:
    (folder / f"{source.removeprefix('upload:')}.tar").unlink()
    age(folder, source, NOTHING_LEFT_SECONDS + 10)
    await expire(spool, queue)
    assert not list(folder.iterdir())


async def test_nothing_is_deleted_while_redis_is_away(
    queue: PushQueue, spool: Spool, folder: Path, source: str, server: Any
) -> None:
    age(folder, source, KEEP_SECONDS + 10)
    server.connected = False
    with pytest.raises(RedisUnavailableError):
        await expire(spool, queue)
    assert len(spool.ids()) == 1


async def test_a_job_whose_record_is_lost_keeps_nothing(
    api: Api, queue: PushQueue, spool: Spool, folder: Path, source: str, redis: Any
) -> None:
    job = (await enqueue(api, source)).body
    await redis.delete(f"push:job:{job['id']}")
    age(folder, source, KEEP_SECONDS + 10)
    await expire(spool, queue)
    assert not list(folder.iterdir())


async def test_what_a_job_needs_is_not_deleted_by_a_worker(api: Api, source: str) -> None:
    job = (await enqueue(api, source)).body
    url = f"{UPLOADS}/{source.removeprefix('upload:')}/content"
    answer = await api.ask("DELETE", url)
    assert (answer.status, answer.kind) == (409, "upload-needed")
    await api.post(f"{JOBS}/{job['id']}/cancel")
    assert (await api.ask("DELETE", url)).status == 204


async def test_a_job_does_not_run_again_without_its_upload(api: Api, source: str) -> None:
    job = (await enqueue(api, source)).body
    await api.post(f"{JOBS}/{job['id']}/cancel")
    await api.ask("DELETE", f"{UPLOADS}/{source.removeprefix('upload:')}")
    answer = await api.post(f"{JOBS}/{job['id']}/retry")
    assert (answer.status, answer.kind) == (409, "source-gone")
    assert f"{source} is deleted; upload it again" in answer.problem
    assert (await api.get(f"{JOBS}/{job['id']}")).body["state"] == "cancelled"


async def test_looking_for_old_uploads_is_in_nobody_s_way(
    spool: Spool, source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def locked(*_: object) -> None:
        raise AssertionError("a writer would have been refused")

    monkeypatch.setattr("producer.spool.record.lock", locked)
    spool.expire(needed=frozenset())
    assert len(spool.ids()) == 1
