"""Tars that reach workers by HTTP: `push-queue serve`, curl, a worker, a registry."""
# ruff: noqa: ASYNC240 - files of a few megabytes

import asyncio
import hashlib
import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest
from aiohttp import ClientError, ClientSession

from push_queue.settings.api_tokens import hash_of
from tests.support.api_server import ApiServer, Serve
from tests.support.big_images import write_big_archive
from tests.support.images import ARCHIVES
from tests.support.processes import HANG_SECONDS, require_program
from tests.support.proxy import FaultProxy, is_patch
from tests.support.servers import StartWorker
from tests.support.skopeo import skopeo_inspect
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

UPLOADS = "/api/v1/uploads"
MIB = 1 << 20


@pytest.fixture
def start_worker(worker: StartWorker, spool: Path, tmp_path: Path) -> StartWorker:
    """One that may read nothing but the spool."""

    def start(**env: str) -> Any:
        roots = {"PUSH_QUEUE_SOURCE_ROOTS": str(tmp_path / "nothing")}
        return worker(PUSH_QUEUE_SPOOL=str(spool), **roots, **env)

    return start


def push(server: ApiServer, source: str, target: str, *options: str) -> Any:
    """The job once it is final."""
    body = json.dumps({"source": source, "targets": [target]})
    headers = ("-H", "Content-Type: application/json", *options)
    status, job = server.curl("/api/v1/jobs", "-d", body, *headers)
    assert status == 202, job
    return server.curl(f"/api/v1/jobs/{job['id']}?wait=60", *options)[1]


def sha256_of(path: Path) -> str:
    return f"sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}"


def test_a_tar_is_uploaded_by_curl_pushed_and_deleted(
    server: ApiServer,
    start_worker: StartWorker,
    spool: Path,
    tmp_path: Path,
    registry_host: str,
    repository: str,
) -> None:
    start_worker()
    tar = ARCHIVES["docker-oci"](tmp_path).path
    status, upload = server.curl(f"{UPLOADS}/", "-T", str(tar))
    assert (status, upload["digest"]) == (201, sha256_of(tar))
    target = f"{registry_host}/{repository}:1"
    job = push(server, upload["source"], target)
    assert (job["state"], job["error"]) == ("succeeded", None)
    assert job["cleanup_outcome"] == "deleted"
    assert skopeo_inspect(target)["Digest"] == job["digest"]
    assert not list(spool.glob("*.tar"))


async def test_a_worker_elsewhere_reads_it_by_ranges(
    serve: Serve,
    worker: StartWorker,
    spool: Path,
    tmp_path: Path,
    registry_host: str,
    repository: str,
) -> None:
    tokens = {
        "ci": {"role": "enqueue", "targets": ["*/*"], "sha256": hash_of("token-of-ci")},
        "fleet": {"role": "worker", "sha256": hash_of("token-of-fleet")},
    }
    server = serve(PUSH_QUEUE_SPOOL=str(spool), PUSH_QUEUE_API_TOKENS=json.dumps(tokens))
    tar = write_big_archive(tmp_path / "big.tar", [4 * MIB]).path
    bearer = ("-H", "Authorization: Bearer token-of-ci")
    upload = server.curl(f"{UPLOADS}/", "-T", str(tar), *bearer)[1]
    async with FaultProxy(server.url) as proxy:
        proxy.cut(lambda request: request.path.endswith("/content"), times=2)
        await asyncio.to_thread(
            worker, PUSH_QUEUE_SERVER=proxy.url, PUSH_QUEUE_TOKEN="token-of-fleet"
        )
        target = f"{registry_host}/{repository}:1"
        job = await asyncio.to_thread(push, server, upload["source"], target, *bearer)
        assert (job["state"], job["error"]) == ("succeeded", None)
        assert job["cleanup_outcome"] == "deleted"
        assert any("range" in request.headers for request in proxy.requests)
    assert skopeo_inspect(target)["Digest"] == job["digest"]
    assert not list(spool.iterdir())


def test_a_stream_is_uploaded_by_curl(server: ApiServer, tmp_path: Path) -> None:
    tar = ARCHIVES["docker-oci"](tmp_path).path
    with tar.open("rb") as stream:
        done = subprocess.run(
            [require_program("curl"), "-sS", "-T", "-", f"{server.url}{UPLOADS}/app.tar"],
            stdin=stream,
            capture_output=True,
            check=True,
            timeout=60,
        )
    assert json.loads(done.stdout)["digest"] == sha256_of(tar)


def test_a_stream_without_a_name_is_told_how_to_name_it(server: ApiServer) -> None:
    done = subprocess.run(
        [require_program("curl"), "-sS", "-T", "-", f"{server.url}{UPLOADS}/"],
        input=b"abc",
        capture_output=True,
        check=True,
        timeout=60,
    )
    assert "with a name, such as /api/v1/uploads/app.tar" in json.loads(done.stdout)["detail"]


@pytest.mark.parametrize("shared", [True, False])
def test_a_spool_goes_and_comes_back(
    shared: bool,
    serve: Serve,
    worker: StartWorker,
    spool: Path,
    tmp_path: Path,
    registry_host: str,
    repository: str,
) -> None:
    server = serve(PUSH_QUEUE_SPOOL=str(spool))
    tar = ARCHIVES["docker-oci"](tmp_path).path
    upload = server.curl(f"{UPLOADS}/", "-T", str(tar))[1]
    target = f"{registry_host}/{repository}:1"
    body = json.dumps({"id": "b1", "source": upload["source"], "targets": [target]})
    assert server.curl("/api/v1/jobs", "-d", body, "-H", "Content-Type: application/json")[0] == 202

    elsewhere = spool.rename(tmp_path / "elsewhere")
    for path, options in (
        (f"{UPLOADS}/{upload['id']}", ()),
        (f"{UPLOADS}/", ("-T", str(tar))),
        ("/readyz", ()),
    ):
        status, problem = server.curl(path, *options)
        assert (status, problem["type"]) == (503, "urn:push-queue:problem:spool-unavailable")
        assert str(spool) not in problem["detail"]
    assert f"the spool {spool} cannot be used" in server.process.log
    assert server.curl("/healthz")[0] == 200

    # Workers wait for it, too: what is away is not gone.
    if shared:
        worker(PUSH_QUEUE_SPOOL=str(spool))
    else:
        worker(PUSH_QUEUE_SERVER=server.url)
    deadline = time.monotonic() + HANG_SECONDS
    while not (attempts := server.curl("/api/v1/jobs/b1")[1]["attempts"]):
        assert time.monotonic() < deadline
    assert (attempts[0]["outcome"], attempts[0]["error_kind"]) == ("deferred", "source_unavailable")
    elsewhere.rename(spool)
    assert server.curl("/readyz")[0] == 200
    _, job = server.curl("/api/v1/jobs/b1?wait=60")
    assert (job["state"], job["error"]) == ("succeeded", None)
    assert not list(spool.glob("*.tar"))


def test_a_failed_job_keeps_its_upload_for_a_retry(
    server: ApiServer,
    start_worker: StartWorker,
    spool: Path,
    tmp_path: Path,
    registry_host: str,
    repository: str,
) -> None:
    worker = start_worker(PUSH_QUEUE_TARGETS="reg.example.com/*")
    upload = server.curl(f"{UPLOADS}/", "-T", str(ARCHIVES["docker-oci"](tmp_path).path))[1]
    job = push(server, upload["source"], f"{registry_host}/{repository}:1")
    assert (job["state"], job["error_kind"]) == ("failed", "target_not_allowed")
    assert list(spool.glob("*.tar"))
    worker.terminate()
    start_worker()
    assert server.curl(f"/api/v1/jobs/{job['id']}/retry", "-X", "POST")[0] == 200
    assert server.curl(f"/api/v1/jobs/{job['id']}?wait=60")[1]["state"] == "succeeded"
    assert not list(spool.glob("*.tar"))


async def test_a_cut_upload_goes_on_where_it_ended(server: ApiServer, tmp_path: Path) -> None:
    tar = write_big_archive(tmp_path / "big.tar", [8 * MIB]).path
    path = begin(server)
    async with FaultProxy(server.url) as proxy:
        proxy.cut(is_patch, after=5 * MIB)
        with pytest.raises(ClientError):
            await patch(f"{proxy.url}{path}", tar, 0)
    offset = await settled_offset(server, path)
    assert 0 < offset <= 5 * MIB
    assert (await patch(f"{server.url}{path}", tar, offset))["digest"] == sha256_of(tar)


async def test_a_server_that_is_killed_goes_on_where_it_was(
    server: ApiServer, tmp_path: Path
) -> None:
    tar = write_big_archive(tmp_path / "big.tar", [8 * MIB]).path
    path = begin(server)
    async with FaultProxy(server.url) as proxy:
        proxy.hold(is_patch, after=5 * MIB)
        sending = asyncio.create_task(patch(f"{proxy.url}{path}", tar, 0))
        await becomes(lambda: has_arrived(server, path, 4 * MIB), timeout=60)
        server.process.kill()
        with pytest.raises(ClientError):
            await sending
    server.process.start()
    server.wait_ready()
    offset = server.curl(path)[1]["offset"]
    assert 4 * MIB <= offset <= 5 * MIB
    assert (await patch(f"{server.url}{path}", tar, offset))["digest"] == sha256_of(tar)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_upload(
    server: ApiServer, spool: Path, tmp_path: Path
) -> None:
    peaks = {}
    for size in (8 * MIB, 300 * MIB):
        tar = tmp_path / "big.tar"
        with tar.open("wb") as file:
            file.truncate(size)
        assert server.curl(f"{UPLOADS}/", "-T", str(tar))[1]["offset"] == size
        status = Path(f"/proc/{server.process.pid}/status").read_text()
        peaks[size] = int(status.partition("VmHWM:")[2].split()[0]) * 1024
    assert peaks[300 * MIB] < peaks[8 * MIB] + 32 * MIB


def begin(server: ApiServer) -> str:
    """The path of a new upload."""
    return f"{UPLOADS}/{server.curl(UPLOADS, '-X', 'POST')[1]['id']}"


async def patch(url: str, tar: Path, offset: int) -> Any:
    """Send the rest; the upload then."""
    with tar.open("rb") as file:
        file.seek(offset)
        headers = {"Upload-Offset": str(offset), "Upload-Complete": "?1"}
        async with (
            ClientSession() as session,
            session.patch(url, data=file, headers=headers) as answer,
        ):
            return await answer.json()


async def has_arrived(server: ApiServer, path: str, size: int) -> bool:
    _, upload = await asyncio.to_thread(server.curl, path)
    return bool(upload["offset"] >= size)


async def settled_offset(server: ApiServer, path: str) -> int:
    """How much has arrived, once nobody writes any more."""
    nowhere = ("-X", "PATCH", "-H", "Upload-Offset: 9999999999999999")

    async def nobody_writes() -> bool:
        _, problem = await asyncio.to_thread(server.curl, path, *nowhere)
        return bool(problem["type"].endswith("mismatching-upload-offset"))

    await becomes(nobody_writes, timeout=60)
    offset: int = server.curl(path)[1]["offset"]
    return offset
