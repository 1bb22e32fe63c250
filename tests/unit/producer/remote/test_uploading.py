"""An upload arrives whole, whatever happens on the way, or it is said why not."""
# ruff: noqa: ASYNC240 - files of a few megabytes

import asyncio
import hashlib
import io
import json
import random
from collections.abc import AsyncGenerator
from pathlib import Path

import pytest

from producer.api.models.sessions import Session
from producer.errors import (
    ServerRefusedError,
    ServerUnavailableError,
    UploadDigestError,
    UploadError,
)
from producer.remote import requests, upload_source, uploading
from producer.remote.queue import RemoteQueue
from producer.remote.requests import Requests
from producer.remote.upload_source import FileSource, StreamSource, UploadSource
from push_queue.settings import Settings
from tests.support.certificates import Authority
from tests.support.proxy import FaultProxy, Request, is_patch
from tests.support.scripted_server import ScriptedServer

MIB = 1 << 20
CONTENT = random.Random(5).randbytes(4 * MIB)
DIGEST = hashlib.sha256(CONTENT).hexdigest()


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def settings(settings: Settings, spool: Path) -> Settings:
    return settings.model_copy(update={"spool": spool, "spool_keep_free": 0})


@pytest.fixture(autouse=True)
def small_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(upload_source, "PART_BYTES", MIB)
    monkeypatch.setattr(upload_source, "BLOCK_BYTES", MIB // 16)
    monkeypatch.setattr(requests, "_FIRST_PAUSE_SECONDS", 0.01)
    monkeypatch.setattr(uploading, "GIVE_UP_SECONDS", 60)


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    path = tmp_path / "app.tar"
    path.write_bytes(CONTENT)
    return path


@pytest.fixture(params=["file", "stream"])
def source(request: pytest.FixtureRequest, tar: Path) -> UploadSource:
    if request.param == "file":
        return FileSource(tar)
    return StreamSource("standard input", io.BytesIO(CONTENT))


async def upload(remote: RemoteQueue, source: UploadSource) -> str:
    return await remote.upload(source, lambda done, total: None)


def arrived(spool: Path, name: str) -> bytes:
    return (spool / f"{name.removeprefix('upload:')}.tar").read_bytes()


def is_upload_delete(request: Request) -> bool:
    return request.method == "DELETE" and "/uploads/" in request.path


def is_upload_read(request: Request) -> bool:
    return request.method == "GET" and "/uploads/" in request.path


async def test_it_arrives(remote: RemoteQueue, spool: Path, source: UploadSource) -> None:
    shown: list[tuple[int, int | None]] = []
    name = await remote.upload(source, lambda done, total: shown.append((done, total)))
    assert arrived(spool, name) == CONTENT
    assert shown[-1] == (len(CONTENT), source.length)


@pytest.mark.parametrize("size", [0, 1, MIB - 1, MIB, MIB + 1])
async def test_a_stream_of_any_size_arrives(remote: RemoteQueue, spool: Path, size: int) -> None:
    name = await upload(remote, StreamSource("standard input", io.BytesIO(CONTENT[:size])))
    assert arrived(spool, name) == CONTENT[:size]


async def test_after_cuts_it_goes_on_where_it_ended(
    remote: RemoteQueue, proxy: FaultProxy, spool: Path, source: UploadSource
) -> None:
    proxy.cut(is_patch, after=700_000, times=3)
    assert arrived(spool, await upload(remote, source)) == CONTENT
    assert proxy.count(is_patch) >= 4


async def test_what_has_arrived_is_not_sent_again(
    remote: RemoteQueue, proxy: FaultProxy, spool: Path, tar: Path
) -> None:
    proxy.cut(is_patch, after=3 * MIB)
    assert arrived(spool, await upload(remote, FileSource(tar))) == CONTENT
    assert proxy.bytes_sent("/api/") < len(CONTENT) + 2 * MIB


async def test_a_server_that_cannot_now_is_asked_again(
    remote: RemoteQueue, proxy: FaultProxy, spool: Path, source: UploadSource
) -> None:
    proxy.answer(lambda request: request.method == "POST", status=503)
    proxy.answer(is_patch, status=503)
    proxy.answer(is_upload_read, status=502)
    assert arrived(spool, await upload(remote, source)) == CONTENT


async def test_a_request_that_is_under_way_yet_is_waited_for(
    remote: RemoteQueue, proxy: FaultProxy, spool: Path, tar: Path
) -> None:
    """The client has lost the connection, and the server has not."""
    late = proxy.detain(is_patch, cut=True)
    sending = asyncio.create_task(upload(remote, FileSource(tar)))
    await late.reached.wait()
    assert arrived(spool, await sending) == CONTENT
    late.release()
    await late.answered.wait()
    assert len(list(spool.glob("*.tar"))) == 1


async def test_a_server_that_stays_away_is_given_up(
    remote: RemoteQueue, proxy: FaultProxy, source: UploadSource, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(uploading, "CUT_SECONDS", 0)
    proxy.cut(is_patch)
    with pytest.raises(ServerUnavailableError, match=f"cannot reach {proxy.url}"):
        await upload(remote, source)


@pytest.mark.parametrize("status", [403, 507])
async def test_a_server_that_takes_no_more_is_left_nothing(
    remote: RemoteQueue,
    proxy: FaultProxy,
    spool: Path,
    source: UploadSource,
    status: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its spool may be full, and what has arrived would take room in it for a day."""
    monkeypatch.setattr(uploading, "CUT_SECONDS", 0)
    body = json.dumps({"type": "urn:push-queue:problem:x", "detail": "no more"}).encode()
    proxy.answer(is_patch, status=status, body=body)
    with pytest.raises((ServerRefusedError, ServerUnavailableError), match="no more"):
        await upload(remote, source)
    assert not list(spool.iterdir())


async def test_nobody_listens(source: UploadSource, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(requests, "FIRST_SECONDS", 0)
    async with RemoteQueue.connect("http://127.0.0.1:1") as remote:
        said = r"cannot reach http://127\.0\.0\.1:1: Connection refused; see whether it runs"
        with pytest.raises(ServerUnavailableError, match=said):
            await upload(remote, source)


async def test_a_file_that_becomes_shorter_is_named(
    remote: RemoteQueue, spool: Path, tar: Path
) -> None:
    source = FileSource(tar)
    tar.write_bytes(CONTENT[:MIB])
    with pytest.raises(UploadError, match=r"app\.tar became shorter while it was read"):
        await upload(remote, source)
    assert not list(spool.iterdir())


async def test_one_that_is_given_up_is_deleted_once_the_server_lets_go_of_it(
    remote: RemoteQueue, proxy: FaultProxy, spool: Path, tar: Path
) -> None:
    busy = json.dumps({"type": "urn:push-queue:problem:upload-busy"}).encode()
    proxy.answer(is_upload_delete, status=409, body=busy)
    source = FileSource(tar)
    tar.write_bytes(CONTENT[:MIB])
    with pytest.raises(UploadError, match=r"app\.tar became shorter while it was read"):
        await upload(remote, source)
    assert proxy.count(is_upload_delete) >= 2
    assert not list(spool.iterdir())


class Changing:
    """A file that is written to between two requests."""

    name = "app.tar"
    length: int | None = len(CONTENT)

    def __init__(self) -> None:
        self.size = len(CONTENT)
        self.last = True
        self._content = CONTENT
        self._offset = 0

    async def part(self, offset: int) -> "Changing":
        self._content = bytes(len(CONTENT)) if offset else CONTENT
        self._offset, self.size = offset, len(CONTENT) - offset
        return self

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        for start in range(self._offset, len(CONTENT), MIB // 16):
            yield self._content[start : start + MIB // 16]


async def test_a_file_that_changes_is_not_taken(
    remote: RemoteQueue, proxy: FaultProxy, spool: Path
) -> None:
    proxy.cut(is_patch, after=2 * MIB)
    with pytest.raises(UploadDigestError, match=r"app\.tar: what arrived is sha256:"):
        await upload(remote, Changing())
    assert not list(spool.iterdir())


async def test_a_stream_cannot_be_read_again(remote: RemoteQueue, spool: Path) -> None:
    """The server has lost what it had acknowledged."""

    class Losing(io.BytesIO):
        def read(self, size: int | None = -1) -> bytes:
            if self.tell() == 2 * MIB:
                (part,) = spool.glob("*.part")
                part.write_bytes(b"")
            return super().read(size)

    with pytest.raises(UploadError, match="the server has 0 bytes of standard input, which"):
        await upload(remote, StreamSource("standard input", Losing(CONTENT)))


async def test_a_refusal_is_passed_on(
    remote: RemoteQueue, proxy: FaultProxy, source: UploadSource
) -> None:
    body = (
        b'{"type": "urn:push-queue:problem:role-missing", "detail": "token ci has the role read"}'
    )
    proxy.answer(lambda request: request.method == "POST", status=403, body=body)
    with pytest.raises(ServerRefusedError, match="token ci has the role read"):
        await upload(remote, source)


@pytest.mark.parametrize(
    ("status", "why"), [(404, "404 Not Found"), (200, "its answer of text/html is not JSON")]
)
async def test_what_is_no_server_of_ours_is_said(
    remote: RemoteQueue, proxy: FaultProxy, source: UploadSource, status: int, why: str
) -> None:
    page, html = b"<h1>Not here</h1>", {"Content-Type": "text/html"}
    proxy.answer(lambda request: request.method == "POST", status=status, body=page, headers=html)
    with pytest.raises(ServerRefusedError) as caught:
        await upload(remote, source)
    assert str(caught.value) == f"{proxy.url} is no server of a push queue ({why})"


async def test_a_proxy_whose_server_is_away_is_named(proxy: FaultProxy) -> None:
    proxy.answer(lambda _: True, status=502)
    async with Requests.to(proxy.url, None) as asked:
        with pytest.raises(ServerUnavailableError, match=f"^{proxy.url} answers 502 Bad Gateway; "):
            await asked.ask("GET", "session", riding=False)


async def test_a_server_that_is_not_trusted_is_not_said_to_be_down(authority: Authority) -> None:
    async with (
        ScriptedServer(tls=authority.server().context()) as server,
        Requests.to(server.url, None) as asked,
    ):
        with pytest.raises(ServerUnavailableError, match=r"trust its authority.* SSL_CERT_FILE$"):
            await asked.ask("GET", "session", riding=False)


async def test_a_server_without_tls_is_not_said_to_be_down() -> None:
    async with (
        ScriptedServer() as server,
        Requests.to(server.url.replace("http:", "https:"), None) as asked,
    ):
        with pytest.raises(ServerUnavailableError, match=r"TLS: .*; begin its URL with http://"):
            await asked.ask("GET", "session", riding=False)


async def test_an_answer_that_is_no_object_is_refused(proxy: FaultProxy) -> None:
    proxy.answer(lambda _: True, status=200, body=b"[1]")
    async with Requests.to(proxy.url, None) as asked:
        said = rf"^{proxy.url} answers what .* not understand \(must be an object"
        with pytest.raises(ServerRefusedError, match=said):
            await asked.ask_for(Session, "GET", "session", riding=False)


@pytest.mark.parametrize("url", ["push.example.com", "ftp://host", "http://", "http://a:b@host"])
async def test_a_url_that_is_none_is_refused(url: str) -> None:
    with pytest.raises(ServerRefusedError) as caught:
        async with RemoteQueue.connect(url):
            pass
    assert "a:b" not in str(caught.value)
