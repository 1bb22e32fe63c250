"""The spool's folder is taken away under the server, and comes back."""

import logging
import threading
from collections.abc import AsyncGenerator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from producer import PushQueue
from producer.api import service
from producer.api.problems import RETRY_AFTER_SECONDS
from producer.errors import SpoolUnavailableError
from producer.spool.expiry import expire
from producer.spool.spool import Spool
from push_queue.settings import Settings
from tests.support.api import JOBS, NEW_JOB, Answer, Api
from tests.support.images import ARCHIVES

UPLOADS = "/api/v1/uploads"
UNKNOWN = "0" * 26
ALL = {"Upload-Complete": "?1"}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def settings(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"spool": folder, "spool_keep_free": 0})


@contextmanager
def away(folder: Path) -> Iterator[None]:
    """The time for which the folder is not there."""
    elsewhere = folder.rename(folder.with_name("elsewhere"))
    yield
    elsewhere.rename(folder)


def assert_away(answer: Answer, folder: Path) -> None:
    """It says so, and not where the folder is."""
    assert (answer.status, answer.kind) == (503, "spool-unavailable")
    assert "No such file or directory" in answer.problem
    assert str(folder) not in str(answer.body)
    assert answer.headers["Retry-After"] == str(RETRY_AFTER_SECONDS)


@pytest.mark.parametrize(
    ("method", "path"),
    [
        ("POST", UPLOADS),
        ("PUT", f"{UPLOADS}/app.tar"),
        ("PUT", f"{UPLOADS}/{UNKNOWN}"),
        ("PATCH", f"{UPLOADS}/{UNKNOWN}"),
        ("GET", f"{UPLOADS}/{UNKNOWN}"),
        ("DELETE", f"{UPLOADS}/{UNKNOWN}"),
        ("GET", f"{UPLOADS}/{UNKNOWN}/content"),
        ("DELETE", f"{UPLOADS}/{UNKNOWN}/content"),
        ("POST", f"{UPLOADS}/purge"),
    ],
)
async def test_every_request_for_uploads_says_so(
    api: Api, folder: Path, method: str, path: str
) -> None:
    headers = {"Upload-Offset": "0"} if method == "PATCH" else {}
    with away(folder):
        assert_away(await api.ask(method, path, headers=headers), folder)
    # It is known now that there is no such upload.
    assert (await api.ask(method, path, headers=headers)).status in (200, 201, 404)


async def test_an_upload_is_not_taken_for_unknown(api: Api, folder: Path, tmp_path: Path) -> None:
    tar = ARCHIVES["docker-oci"](tmp_path).path.read_bytes()
    upload = (await api.ask("PUT", f"{UPLOADS}/app.tar", data=tar)).body
    job = {**NEW_JOB, "source": upload["source"]}
    with away(folder):
        assert_away(await api.post(JOBS, json=job), folder)
    assert (await api.post(JOBS, json=job)).status == 202


async def test_an_upload_under_way_goes_on_when_it_is_back(api: Api, folder: Path) -> None:
    path = f"{UPLOADS}/{(await api.post(UPLOADS)).body['id']}"
    taken = away(folder)

    async def body() -> AsyncGenerator[bytes, None]:
        yield b"abc"
        taken.__enter__()

    answer = await api.ask("PATCH", path, data=body(), headers={"Upload-Offset": "0", **ALL})
    assert_away(answer, folder)
    taken.__exit__(None, None, None)
    offset = (await api.get(path)).body["offset"]
    headers = {"Upload-Offset": str(offset), **ALL}
    answer = await api.ask("PATCH", path, data=b"abc"[offset:], headers=headers)
    assert (answer.status, answer.body["offset"], answer.body["complete"]) == (200, 3, True)


async def test_what_is_lost_of_an_upload_in_one_request_is_said(api: Api, folder: Path) -> None:
    taken = away(folder)

    async def body() -> AsyncGenerator[bytes, None]:
        yield b"abc"
        taken.__enter__()

    assert_away(await api.ask("PUT", f"{UPLOADS}/app.tar", data=body()), folder)
    taken.__exit__(None, None, None)
    assert (await api.ask("PUT", f"{UPLOADS}/app.tar", data=b"abc")).status == 201


async def test_the_log_says_where_it_is(
    api: Api, folder: Path, caplog: pytest.LogCaptureFixture
) -> None:
    with away(folder):
        await api.post(UPLOADS)
    said = f"the spool {folder} cannot be used: No such file or directory"
    assert ("producer.spool.spool", logging.ERROR, said) in caplog.record_tuples


async def test_the_server_is_not_ready_and_serves_the_rest(api: Api, folder: Path) -> None:
    with away(folder):
        assert_away(await api.get("/readyz"), folder)
        assert (await api.get("/healthz")).status == 200
        assert (await api.post(JOBS, json=NEW_JOB)).status == 202
        async with api.client.get("/metrics") as metrics:
            assert "push_queue_spool" not in await metrics.text()
    assert (await api.get("/readyz")).body == {"status": "ok"}


async def test_a_disk_that_hangs_is_not_waited_for(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = threading.Event()
    monkeypatch.setattr(service, "_DISK_SECONDS", 0.0)
    monkeypatch.setattr(service, "check_usable", lambda _: answers.wait(60))
    answer = await api.get("/readyz")
    answers.set()
    assert (answer.status, answer.kind) == (503, "spool-unavailable")
    assert "does not answer" in answer.problem


async def test_old_uploads_are_kept(queue: PushQueue, settings: Settings, folder: Path) -> None:
    spool = Spool.of(settings)
    assert spool
    with away(folder), pytest.raises(SpoolUnavailableError):
        await expire(spool, queue)
    await expire(spool, queue)
