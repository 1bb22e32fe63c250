"""Uploads: whole, in parts, checked, refused, and given up."""
# ruff: noqa: ASYNC240 - files of a few bytes

import asyncio
import base64
import errno
import fcntl
import hashlib
import os
from pathlib import Path
from typing import Any

import pytest
from aiohttp.test_utils import TestClient, TestServer

from producer import PushQueue
from producer.api.application import make_application
from producer.api.uploads import requests as upload_requests
from producer.spool.record import UploadRecord
from producer.spool.room import Room
from producer.spool.spool import Spool
from push_queue.settings import Settings
from tests.support.api import Answer, Api
from tests.support.waiting import becomes

UPLOADS = "/api/v1/uploads"
CONTENT = bytes(range(256)) * 1000
DIGEST = "sha256:" + hashlib.sha256(CONTENT).hexdigest()
OTHER = "sha256:" + "0" * 64


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def settings(settings: Settings, folder: Path) -> Settings:
    return settings.model_copy(update={"spool": folder, "spool_keep_free": 0})


def field(digest: str) -> str:
    return f"sha-256=:{base64.b64encode(bytes.fromhex(digest[7:])).decode()}:"


async def put(api: Api, name: str = "app.tar", **options: Any) -> Answer:
    return await api.ask("PUT", f"{UPLOADS}/{name}", **{"data": CONTENT, **options})


async def begin(api: Api, length: int | None = None) -> str:
    headers = {} if length is None else {"Upload-Length": str(length)}
    answer = await api.post(UPLOADS, headers=headers)
    assert answer.status == 201
    assert answer.headers["Upload-Offset"] == "0"
    assert answer.headers["Location"] == f"{UPLOADS}/{answer.body['id']}"
    upload_id: str = answer.body["id"]
    return upload_id


async def append(api: Api, upload_id: str, offset: int, data: bytes, **headers: str) -> Answer:
    fields = {"Upload-Offset": str(offset), **headers}
    return await api.ask("PATCH", f"{UPLOADS}/{upload_id}", data=data, headers=fields)


LAST = {"Upload-Complete": "?1"}


async def test_a_tar_in_one_request(api: Api, folder: Path) -> None:
    answer = await put(api)
    assert answer.status == 201
    upload = answer.body
    assert upload["source"] == f"upload:{upload['id']}"
    assert (upload["offset"], upload["length"], upload["complete"]) == (len(CONTENT),) * 2 + (True,)
    assert upload["digest"] == DIGEST
    assert answer.headers["Repr-Digest"] == field(DIGEST)
    assert answer.headers["Location"] == f"{UPLOADS}/{upload['id']}"
    assert (folder / f"{upload['id']}.tar").read_bytes() == CONTENT
    assert (await api.get(f"{UPLOADS}/{upload['id']}")).body == upload
    assert {path.suffix for path in folder.iterdir()} == {".json", ".tar"}


async def test_a_name_reaches_no_path(api: Api, folder: Path) -> None:
    for name in ("..%2F..%2Fetc%2Fpasswd", "a%00b", "%2Fapp.tar", "x" * 300):
        answer = await put(api, name)
        assert answer.status == 201
        assert answer.headers["Location"] == f"{UPLOADS}/{answer.body['id']}"
    assert {len(path.stem) for path in folder.iterdir()} == {26}


async def test_a_tar_in_parts(api: Api, folder: Path) -> None:
    upload_id = await begin(api, len(CONTENT))
    first = await append(api, upload_id, 0, CONTENT[:1000])
    assert (first.status, first.headers["Upload-Offset"]) == (200, "1000")
    assert (first.headers["Upload-Complete"], first.body["digest"]) == ("?0", None)
    head = await api.ask("HEAD", f"{UPLOADS}/{upload_id}")
    assert (head.headers["Upload-Offset"], head.headers["Upload-Length"]) == ("1000", "256000")
    assert (folder / f"{upload_id}.part").exists()
    last = await append(api, upload_id, 1000, CONTENT[1000:])
    assert last.headers["Upload-Complete"] == "?1"
    assert last.body["digest"] == DIGEST


async def test_a_stream_ends_where_it_is_said_to(api: Api) -> None:
    upload_id = await begin(api)
    await append(api, upload_id, 0, CONTENT[:1000])
    await append(api, upload_id, 1000, CONTENT[1000:])
    answer = await append(api, upload_id, len(CONTENT), b"", **LAST)
    assert (answer.body["complete"], answer.body["digest"]) == (True, DIGEST)


async def test_curl_goes_on_by_content_range(api: Api) -> None:
    upload_id = await begin(api)
    total = len(CONTENT)
    for first, end in ((0, 1000), (1000, total)):
        answer = await put(
            api,
            upload_id,
            data=CONTENT[first:end],
            headers={"Content-Range": f"bytes {first}-{end - 1}/{total}"},
        )
        assert answer.status == 201
    assert answer.body["digest"] == DIGEST
    assert answer.headers["Location"] == f"{UPLOADS}/{upload_id}"


async def test_another_server_goes_on(api: Api, settings: Settings, queue: PushQueue) -> None:
    upload_id = await begin(api)
    await append(api, upload_id, 0, CONTENT[:1000])
    application = make_application(queue, settings)
    async with TestClient(TestServer(application)) as client:
        answer = await append(Api(client), upload_id, 1000, CONTENT[1000:], **LAST)
    assert answer.body["digest"] == DIGEST


@pytest.mark.parametrize(
    "options",
    [
        {"params": {"digest": DIGEST}},
        {"headers": {"Repr-Digest": field(DIGEST)}},
        {"headers": {"Content-Digest": f"sha-512=:AA==:, {field(DIGEST)}"}},
    ],
)
async def test_a_digest_is_checked(api: Api, options: Any) -> None:
    assert (await put(api, **options)).status == 201


@pytest.mark.parametrize(
    "options",
    [
        {"params": {"digest": OTHER}},
        {"headers": {"Repr-Digest": field(OTHER)}},
        {"headers": {"Content-Digest": field(OTHER)}},
    ],
)
async def test_other_bytes_than_were_meant_are_not_kept(
    api: Api, folder: Path, options: Any
) -> None:
    answer = await put(api, **options)
    assert (answer.status, answer.kind) == (400, "digest-mismatch")
    assert DIGEST in answer.problem
    assert not list(folder.iterdir())


async def test_other_bytes_in_parts_are_not_kept(api: Api, folder: Path) -> None:
    upload_id = await begin(api)
    await append(api, upload_id, 0, CONTENT[:1000])
    fields = {**LAST, "Repr-Digest": field(OTHER)}
    answer = await append(api, upload_id, 1000, CONTENT[1000:], **fields)
    assert answer.kind == "digest-mismatch"
    assert (await api.get(f"{UPLOADS}/{upload_id}")).status == 404
    assert not list(folder.iterdir())


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({}, "Upload-Offset is missing"),
        ({"Upload-Offset": "-1"}, "Upload-Offset: must be a number"),
        ({"Upload-Offset": "0", "Upload-Complete": "yes"}, "Upload-Complete: must be ?1 or ?0"),
        ({"Upload-Offset": "0", "Upload-Length": "x"}, "Upload-Length: must be a number"),
        ({"Upload-Offset": "0", "Repr-Digest": "sha-256=x"}, "Repr-Digest: must be such as"),
        ({"Upload-Offset": "0", "Content-Digest": field(DIGEST)}, "send Repr-Digest"),
    ],
)
async def test_headers_that_make_no_sense(api: Api, headers: dict[str, str], words: str) -> None:
    upload_id = await begin(api)
    answer = await api.ask("PATCH", f"{UPLOADS}/{upload_id}", data=b"x", headers=headers)
    assert answer.kind == "invalid-request"
    assert words in answer.problem


@pytest.mark.parametrize("range_", ["bytes 0-9/5", "bytes 0-3/10", "bytes */10", "0-9/10"])
async def test_ranges_that_make_no_sense(api: Api, range_: str) -> None:
    upload_id = await begin(api)
    answer = await put(api, upload_id, data=b"x" * 10, headers={"Content-Range": range_})
    assert answer.kind == "invalid-request"
    assert "Content-Range" in answer.problem


async def test_bytes_for_another_place_are_refused(api: Api) -> None:
    upload_id = await begin(api)
    await append(api, upload_id, 0, b"x" * 10)
    for offset in (0, 11):
        answer = await append(api, upload_id, offset, b"y")
        assert (answer.status, answer.kind) == (409, "mismatching-upload-offset")
        assert answer.headers["Upload-Offset"] == "10"
    assert (await append(api, upload_id, 10, b"y")).status == 200


async def test_a_complete_upload_takes_no_more(api: Api) -> None:
    upload_id = (await put(api)).body["id"]
    answer = await append(api, upload_id, len(CONTENT), b"x")
    assert (answer.status, answer.kind) == (409, "completed-upload")


async def test_a_length_is_kept_to(api: Api) -> None:
    upload_id = await begin(api, 10)
    for offset, data, fields in (
        (0, b"x" * 11, {}),
        (0, b"x" * 9, LAST),
        (0, b"x", {"Upload-Length": "11"}),
    ):
        answer = await append(api, upload_id, offset, data, **fields)
        assert answer.kind == "inconsistent-upload-length", data
    assert (await api.get(f"{UPLOADS}/{upload_id}")).body["offset"] == 0


async def test_a_body_without_length_is_kept_to_it_too(api: Api) -> None:
    upload_id = await begin(api, 10)

    async def stream() -> Any:
        yield b"x" * 11

    fields = {"Upload-Offset": "0"}
    answer = await api.ask("PATCH", f"{UPLOADS}/{upload_id}", data=stream(), headers=fields)
    assert answer.kind == "inconsistent-upload-length"


async def is_locked(folder: Path, upload_id: str) -> bool:
    with (folder / f"{upload_id}.json").open("r+") as record:
        try:
            fcntl.flock(record, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return True
    return False


async def test_only_one_writes_an_upload(api: Api, folder: Path) -> None:
    upload_id = await begin(api)
    sent, go_on = asyncio.Event(), asyncio.Event()

    async def slow() -> Any:
        yield b"x" * 10
        sent.set()
        await go_on.wait()
        yield b"y"

    fields = {"Upload-Offset": "0", **LAST}
    url = f"{UPLOADS}/{upload_id}"
    first = asyncio.create_task(api.ask("PATCH", url, data=slow(), headers=fields))
    await sent.wait()
    # It has the lock before it reads the first byte, which may be later than that was sent.
    await becomes(lambda: is_locked(folder, upload_id))
    second = await append(api, upload_id, 0, b"z")
    assert second.kind == "upload-busy"
    assert (await api.ask("DELETE", url)).kind == "upload-busy"
    go_on.set()
    assert (await first).body["offset"] == 11


async def test_a_cut_leaves_what_has_arrived(api: Api, folder: Path) -> None:
    upload_id = await begin(api)
    url = f"{UPLOADS}/{upload_id}"
    # A block, and less than aiohttp warns of when the rest is sent at once.
    content = CONTENT * 6
    server = api.client.server
    _, writer = await asyncio.open_connection(server.host, server.port)
    head = f"PATCH {url} HTTP/1.1\r\nHost: localhost\r\nUpload-Offset: 0\r\n"
    writer.write(f"{head}Content-Length: {len(content)}\r\n\r\n".encode() + content[:-1])
    await becomes(lambda: has_arrived(api, upload_id, 1 << 20))
    writer.close()
    await becomes(lambda: is_free(folder, upload_id))
    upload = (await api.get(url)).body
    assert not upload["complete"]
    answer = await append(api, upload_id, upload["offset"], content[upload["offset"] :], **LAST)
    assert answer.body["digest"] == "sha256:" + hashlib.sha256(content).hexdigest()


async def has_arrived(api: Api, upload_id: str, size: int) -> bool:
    offset: int = (await api.get(f"{UPLOADS}/{upload_id}")).body["offset"]
    return offset >= size


async def is_free(folder: Path, upload_id: str) -> bool:
    return not await is_locked(folder, upload_id)


async def test_a_body_that_stands_still_is_given_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    upload_id = await begin(api)
    size = 1 << 20

    async def stuck() -> Any:
        yield bytes(size)
        await becomes(lambda: has_arrived(api, upload_id, size))
        # From the read on that follows the next bytes, however long those take.
        monkeypatch.setattr(upload_requests, "STILL_SECONDS", 0.05)
        yield b"x" * 10
        await asyncio.Event().wait()

    url = f"{UPLOADS}/{upload_id}"
    answer = await api.ask("PATCH", url, data=stuck(), headers={"Upload-Offset": "0"})
    assert (answer.status, answer.kind) == (408, "request-timeout")
    assert (await api.get(url)).body["offset"] == size + 10


async def test_nothing_is_left_of_one_that_nobody_can_go_on_with(
    api: Api, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_requests, "STILL_SECONDS", 0.05)

    async def stuck() -> Any:
        yield b"x" * 10
        await asyncio.Event().wait()

    assert (await put(api, data=stuck())).status == 408
    assert not list(folder.iterdir())


async def test_what_is_compressed_on_the_way_is_refused(api: Api) -> None:
    answer = await put(api, headers={"Content-Encoding": "gzip"})
    assert answer.kind == "unsupported-media-type"


async def test_an_upload_is_deleted(api: Api, folder: Path) -> None:
    for upload_id in (await begin(api), (await put(api)).body["id"]):
        assert (await api.ask("DELETE", f"{UPLOADS}/{upload_id}")).status == 204
        assert (await api.ask("DELETE", f"{UPLOADS}/{upload_id}")).kind == "unknown-upload"
    assert not list(folder.iterdir())


@pytest.mark.parametrize("upload_id", ["0" * 26, "app.tar", "%2E%2E%2Fx"])
async def test_an_upload_that_is_not_there(api: Api, upload_id: str) -> None:
    for answer in (
        await api.get(f"{UPLOADS}/{upload_id}"),
        await append(api, upload_id, 0, b"x"),
        await put(api, upload_id, data=b"x", headers={"Content-Range": "bytes 0-0/1"}),
    ):
        assert (answer.status, answer.kind) == (404, "unknown-upload")
        # What a newcomer has sent instead of an id has been neither pushed nor deleted.
        assert ("it has been pushed" in answer.problem) is (upload_id == "0" * 26)


@pytest.mark.parametrize(
    ("range_", "status", "content"),
    [
        (None, 200, CONTENT),
        ("bytes=0-9", 206, CONTENT[:10]),
        ("bytes=255990-", 206, CONTENT[-10:]),
        ("bytes=-5", 206, CONTENT[-5:]),
    ],
)
async def test_workers_read_ranges(
    api: Api, range_: str | None, status: int, content: bytes
) -> None:
    url = f"{UPLOADS}/{(await put(api)).body['id']}/content"
    headers = {"Range": range_} if range_ else {}
    async with api.client.get(url, headers=headers) as answer:
        assert (answer.status, await answer.read()) == (status, content)
        etag = answer.headers["ETag"]
    async with api.client.get(url, headers={**headers, "If-Match": etag}) as answer:
        assert answer.status == status
    async with api.client.get(url, headers={**headers, "If-Match": '"another"'}) as answer:
        assert answer.status == 412


async def test_what_is_not_complete_has_no_content(api: Api) -> None:
    upload_id = await begin(api, 10)
    await append(api, upload_id, 0, b"x" * 3)
    for method in ("GET", "DELETE"):
        answer = await api.ask(method, f"{UPLOADS}/{upload_id}/content")
        assert (answer.status, answer.kind) == (409, "upload-incomplete")
        assert "3 of 10 bytes are here" in answer.problem


class TestFull:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"spool_quota": 2000})

    async def test_it_is_said_before_a_byte_is_written(self, api: Api, folder: Path) -> None:
        assert (await put(api, data=b"x" * 1500)).status == 201
        before = {*folder.iterdir()}
        answer = await put(api, data=b"x" * 501)
        assert (answer.status, answer.kind) == (507, "spool-full")
        assert "PUSH_QUEUE_SPOOL_QUOTA); try again later" in answer.problem
        assert {*folder.iterdir()} == before
        assert (await api.post(UPLOADS, headers={"Upload-Length": "501"})).kind == "spool-full"

    async def test_nobody_is_told_to_come_again_with_what_can_never_fit(
        self, api: Api, folder: Path
    ) -> None:
        for answer in (
            await put(api, data=b"x" * 2001),
            await api.post(UPLOADS, headers={"Upload-Length": "2001"}),
        ):
            assert (answer.status, answer.kind) == (413, "upload-too-large")
            assert "2001 bytes" in answer.problem
            assert "2000 in all (PUSH_QUEUE_SPOOL_QUOTA)" in answer.problem
        assert not list(folder.iterdir())
        upload_id = await begin(api)
        answer = await append(api, upload_id, 0, b"x", **{"Upload-Length": "2001"})
        assert answer.kind == "upload-too-large"
        assert (await api.get(f"{UPLOADS}/{upload_id}")).body["length"] is None

    async def test_all_uploads_count(self, api: Api) -> None:
        assert (await put(api, data=b"x" * 1500)).status == 201
        upload_id = await begin(api)
        assert (await append(api, upload_id, 0, b"x" * 501)).kind == "spool-full"
        assert (await append(api, upload_id, 0, b"x" * 500, **LAST)).status == 200

    async def test_a_body_without_length_is_stopped(self, api: Api) -> None:
        upload_id = await begin(api)

        async def stream() -> Any:
            yield b"x" * 2001

        url = f"{UPLOADS}/{upload_id}"
        answer = await api.ask("PATCH", url, data=stream(), headers={"Upload-Offset": "0"})
        assert answer.kind == "upload-too-large"

    async def test_a_disk_that_is_nearly_full_is_left_alone(self, api: Api, folder: Path) -> None:
        full = Room(folder, quota=2000, keep_free=1 << 62)
        with pytest.raises(Exception, match="PUSH_QUEUE_SPOOL_KEEP_FREE"):
            full.check(1)

    async def test_not_too_many_upload_at_once(
        self, api: Api, folder: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("producer.spool.spool.MOST_WRITERS", 0)
        answer = await put(api, data=b"x")
        assert (answer.status, answer.kind) == (503, "too-many-uploads")
        assert "Retry-After" in answer.headers
        assert not list(folder.iterdir())
        monkeypatch.undo()
        assert (await put(api, data=b"x")).status == 201


class TestWithoutSpool:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"spool": None})

    async def test_it_is_said(self, api: Api) -> None:
        answer = await put(api)
        assert (answer.status, answer.kind) == (404, "no-spool")
        assert "PUSH_QUEUE_SPOOL" in answer.problem


def test_a_spool_takes_only_so_many_uploads(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("producer.spool.room.MOST_UPLOADS", 1)
    spool = Spool(folder, quota=2000, keep_free=0, keep_seconds=1)
    spool.prepare()
    spool.create(None, None)
    with pytest.raises(Exception, match="there are 1 uploads"):
        spool.create(None, None)


@pytest.mark.parametrize(
    ("kind", "status"), [("application/x-www-form-urlencoded", 415), ("application/json", 400)]
)
async def test_a_tar_that_is_posted_is_told_to_be_put(
    api: Api, folder: Path, kind: str, status: int
) -> None:
    answer = await api.post(UPLOADS, data=b"abc", headers={"Content-Type": kind})
    assert answer.status == status
    assert "takes no body" in answer.problem
    assert "PUT it to /api/v1/uploads/app.tar" in answer.problem
    assert not list(folder.iterdir())


async def test_a_refused_request_leaves_no_length(api: Api) -> None:
    upload_id = await begin(api)
    answer = await append(api, upload_id, 0, b"abc", **{"Upload-Length": "2"})
    assert (answer.status, answer.kind) == (400, "inconsistent-upload-length")
    assert (await api.get(f"{UPLOADS}/{upload_id}")).body["length"] is None
    answer = await append(api, upload_id, 0, b"abc", **{"Upload-Length": "3"})
    assert (answer.status, answer.body["complete"]) == (200, True)


def full(*_: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


async def test_an_upload_that_a_full_disk_cannot_begin_leaves_nothing(
    api: Api, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(UploadRecord, "write", full)

    answer = await api.post(UPLOADS)

    assert answer.status == 507
    assert answer.body["type"].endswith(":spool-full")
    assert "No space left on device" in answer.body["detail"]
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize(
    ("place", "name", "length"),
    [
        (UploadRecord, "write", {"Upload-Length": "3"}),
        (UploadRecord, "write", {}),
        (os, "fsync", {}),
    ],
)
async def test_an_upload_that_a_full_disk_interrupts_goes_on_later(
    api: Api, monkeypatch: pytest.MonkeyPatch, place: object, name: str, length: dict[str, str]
) -> None:
    upload_id = await begin(api)
    with monkeypatch.context() as patch:
        patch.setattr(place, name, full)
        answer = await append(api, upload_id, 0, b"abc", **LAST, **length)
    assert (answer.status, answer.kind) == (507, "spool-full")
    assert "No space left on device" in answer.problem
    offset = (await api.get(f"{UPLOADS}/{upload_id}")).body["offset"]
    answer = await append(api, upload_id, offset, b"abc"[offset:], **LAST)
    assert (answer.status, answer.body["complete"]) == (200, True)
    assert answer.body["digest"] == "sha256:" + hashlib.sha256(b"abc").hexdigest()
