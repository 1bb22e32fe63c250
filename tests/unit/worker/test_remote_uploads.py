"""Uploads that another machine has: found, read, deleted by the worker that pushed them."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from push_queue.models.assignments import Assignment
from push_queue.models.job import make_job
from push_queue.models.job_status import JobState
from push_queue.settings import Settings
from registry_api_v2_client import (
    SourceMissingError,
    SourceNotAllowedError,
    SourceUnreadableError,
)
from registry_api_v2_client.archive.source import TarSource
from tests.support.assignments import succeed, write_tags
from tests.support.certificates import Authority
from tests.support.stores import Stores
from worker.cleanup import NEEDED, Cleanup
from worker.remote_uploads import RemoteUploads

UPLOAD_ID = "01m8h000000000000000000000"
UPLOAD = f"upload:{UPLOAD_ID}"
CONTENT = f"/prefix/api/v1/uploads/{UPLOAD_ID}/content"
DIGEST = "sha256:" + "d" * 64


class Server:
    """Has one upload, of five bytes, and counts how often it was deleted."""

    def __init__(self) -> None:
        self.deleted = 0
        self.refusal: int | None = None
        self.location: str | None = None
        self.tokens: set[str | None] = set()

    async def answer(self, request: web.Request) -> web.Response:
        self.tokens.add(request.headers.get("Authorization"))
        if self.refusal:
            return web.Response(status=self.refusal)
        if self.location:
            return web.Response(status=302, headers={"Location": self.location})
        if request.path != CONTENT:
            return web.Response(status=404)
        if request.method == "DELETE":
            self.deleted += 1
            return web.Response(status=204)
        headers = {"Content-Range": "bytes 1-1/5", "ETag": '"1"'}
        return web.Response(status=206, body=b" ", headers=headers)


@pytest.fixture
async def remote() -> Server:
    return Server()


@pytest.fixture
async def uploads(remote: Server) -> AsyncIterator[RemoteUploads]:
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", remote.answer)
    async with TestServer(application) as running:
        settings = Settings(
            server=str(running.make_url("/prefix")), token=SecretStr("token-of-fleet")
        )
        uploads = RemoteUploads.of(settings)
        assert uploads
        yield uploads
        uploads.close()


def test_they_are_elsewhere_only_if_the_spool_is_not_here(tmp_path: object) -> None:
    assert RemoteUploads.of(Settings()) is None
    both = Settings.model_validate({"server": "http://h", "spool": str(tmp_path)})
    assert RemoteUploads.of(both) is None


async def test_one_is_found_with_the_token(uploads: RemoteUploads, remote: Server) -> None:
    with await uploads.open(UPLOAD) as source:
        assert isinstance(source, TarSource)
        assert (source.size, source.remote) == (5, True)
    assert remote.tokens == {"Bearer token-of-fleet"}


async def test_one_that_is_gone_is_called_by_its_name(
    uploads: RemoteUploads, remote: Server
) -> None:
    remote.refusal = 404
    with pytest.raises(SourceMissingError, match=f"{UPLOAD} is not on the server any more"):
        await uploads.open(UPLOAD)


@pytest.mark.parametrize("refusal", [401, 403])
async def test_a_token_that_is_not_taken_is_named(
    uploads: RemoteUploads, remote: Server, refusal: int
) -> None:
    remote.refusal = refusal
    with pytest.raises(SourceUnreadableError, match="give a login for it in PUSH_QUEUE_TOKEN"):
        await uploads.open(UPLOAD)


async def test_the_server_leads_nowhere_else(uploads: RemoteUploads, remote: Server) -> None:
    remote.location = "http://169.254.169.254/latest/meta-data"
    with pytest.raises(SourceNotAllowedError):
        await uploads.open(UPLOAD)


@pytest.mark.parametrize(
    ("refusal", "outcome"),
    [
        (None, "deleted"),
        (404, "gone already"),
        (302, "kept: the server answers 302"),
        (409, "kept: the server answers 409"),
    ],
)
async def test_what_becomes_of_one(
    uploads: RemoteUploads, remote: Server, refusal: int | None, outcome: str
) -> None:
    remote.refusal = refusal
    assert await uploads.delete(UPLOAD) == outcome


async def test_it_is_deleted_at_a_server_of_an_authority_of_its_own(
    remote: Server, tmp_path: Path
) -> None:
    authority = Authority(tmp_path / "authority")
    application = web.Application()
    application.router.add_delete(CONTENT, remote.answer)
    tls = TestServer(application, scheme="https")
    await tls.start_server(ssl=authority.server().context())
    try:
        authority.trust(tmp_path / "certs", f"127.0.0.1:{tls.port}")
        settings = Settings(
            server=str(tls.make_url("/prefix")), registry_certs_dir=tmp_path / "certs"
        )
        uploads = RemoteUploads.of(settings)
        assert uploads
        assert await uploads.delete(UPLOAD) == "deleted"
        uploads.close()
    finally:
        await tls.close()


@pytest.mark.parametrize("answer", [b"nonsense\r\n\r\n", b""], ids=["no-http", "nothing"])
async def test_a_server_that_answers_nonsense_keeps_it(answer: bytes) -> None:
    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)
        writer.close()

    async with await asyncio.start_server(serve, "127.0.0.1", 0) as server:
        port = server.sockets[0].getsockname()[1]
        uploads = RemoteUploads.of(Settings(server=f"http://127.0.0.1:{port}"))
        assert uploads
        assert (await uploads.delete(UPLOAD)).startswith("kept: ")
        uploads.close()


async def test_the_last_job_has_it_deleted(
    stores: Stores, uploads: RemoteUploads, remote: Server
) -> None:
    cleanup = Cleanup(stores.jobs, stores.sources, Settings(), uploads)
    for job_id in "ab":
        targets = [f"localhost:15000/{job_id}:1"]
        await stores.jobs.create(
            make_job(id=job_id, source=UPLOAD, targets=targets, cleanup=job_id == "b")
        )
    for job_id, outcome in (("b", NEEDED), ("a", "deleted")):
        assignment = await stores.attempts.start(job_id, 0, "worker")
        assert isinstance(assignment, Assignment)
        await write_tags(stores, assignment, DIGEST)
        with await uploads.open(UPLOAD) as source:
            assert await cleanup.after_push(assignment, source) == outcome
        state = await stores.attempts.succeed(assignment, DIGEST, (), outcome)
        assert state is JobState.SUCCEEDED
        assert remote.deleted == (job_id == "a")


async def test_a_superseded_job_has_it_deleted(
    stores: Stores, uploads: RemoteUploads, remote: Server
) -> None:
    targets = ["localhost:15000/a:1"]
    await stores.jobs.create(make_job(id="a", source=UPLOAD, targets=targets, cleanup=True))
    assignment = await stores.attempts.start("a", 0, "worker")
    assert isinstance(assignment, Assignment)
    await succeed(stores, assignment, DIGEST)
    await Cleanup(stores.jobs, stores.sources, Settings(), uploads).after_end("a")
    assert (await stores.jobs.status("a")).cleanup_outcome == "deleted"
    assert remote.deleted == 1
