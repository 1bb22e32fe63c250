"""Workers that push tars from URLs, which they never copy: real processes, a registry, skopeo."""

import asyncio
import json
import subprocess
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from producer import JobState, JobStatus, PushQueue
from push_queue.models.job_status import Outcome
from tests.support.api_server import Serve
from tests.support.big_images import BigArchive, write_big_archive
from tests.support.certificates import Authority
from tests.support.commands import push_queue
from tests.support.images import ARCHIVES
from tests.support.object_server import ObjectServer
from tests.support.processes import ManagedProcess
from tests.support.proxy import FaultProxy, is_patch
from tests.support.servers import StartWorker, clean_environment
from tests.support.skopeo import skopeo_copy_to_dir, skopeo_inspect

pytestmark = pytest.mark.integration

MIB = 1 << 20
SECRET = "sig=s3cret"

StartReader = Callable[..., ManagedProcess]


@pytest.fixture
def big(tmp_path: Path) -> BigArchive:
    return write_big_archive(tmp_path / "app.tar", [8 * MIB, 3 * MIB])


@pytest.fixture
def start_worker(worker: StartWorker, tmp_path: Path) -> StartReader:
    """One that may read these URLs, and no files. Without a write to any folder but its log's."""

    def start(*urls: str, **env: str) -> ManagedProcess:
        roots = {"PUSH_QUEUE_SOURCE_ROOTS": str(tmp_path / "nothing")}
        return worker(PUSH_QUEUE_SOURCE_URLS=",".join(urls), **roots, **env)

    return start


@pytest.fixture
def target(registry_host: str, repository: str) -> str:
    return f"{registry_host}/{repository}:1"


async def push(queue: PushQueue, url: str, target: str) -> JobStatus:
    job = await queue.enqueue(url, target, max_attempts=1)
    return await queue.wait(job.id, timeout=60)


@pytest.mark.parametrize("kind", ["docker-legacy", "docker-oci", "file-gzipped"])
async def test_a_tar_at_a_url_arrives_whole(
    kind: str,
    start_worker: StartReader,
    queue: PushQueue,
    tmp_path: Path,
    target: str,
) -> None:
    archive = ARCHIVES[kind](tmp_path)
    async with ObjectServer(archive.path) as server:
        worker = start_worker(f"{server.url}/builds/")
        job = await push(queue, f"{server.url_of_object}?{SECRET}", target)
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)
        pulled = await asyncio.to_thread(skopeo_copy_to_dir, target, tmp_path / "pulled")
        assert pulled.digest == job.digest
        assert pulled.contents == list(archive.image.layers)
        assert SECRET not in worker.log


async def test_the_workers_have_the_login_and_the_authority(
    start_worker: StartReader,
    queue: PushQueue,
    tmp_path: Path,
    target: str,
) -> None:
    archive = ARCHIVES["docker-oci"](tmp_path)
    authority = Authority(tmp_path / "authority")
    async with ObjectServer(archive.path, tls=authority.server().context()) as server:
        server.answer = lambda request: (
            None
            if request.headers.get("Authorization") == "Bearer s3cret"
            else web.Response(status=401)
        )
        authority.trust(tmp_path / "certs", server.host)
        env = {"PUSH_QUEUE_REGISTRY_CERTS_DIR": str(tmp_path / "certs")}
        worker = start_worker(f"{server.url}/", **env)
        job = await push(queue, server.url_of_object, target)
        assert (job.state, job.error_kind) == (JobState.FAILED, "source_unreadable")
        worker.terminate()
        login = json.dumps({server.url: {"token": "s3cret"}})
        worker = start_worker(f"{server.url}/", PUSH_QUEUE_SOURCE_AUTH=login, **env)
        job = await push(queue, server.url_of_object, target)
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)
        assert "s3cret" not in worker.log


async def test_a_tar_in_a_bucket_is_read_by_links_that_the_worker_signs(
    big: BigArchive,
    start_worker: StartReader,
    queue: PushQueue,
    target: str,
) -> None:
    async with ObjectServer(big.path) as store:
        store.cut(after=2 * MIB)
        worker = start_worker(
            "s3://bucket/builds/",
            AWS_ENDPOINT_URL=store.url,
            AWS_ALLOW_HTTP="true",
            AWS_ACCESS_KEY_ID="key",
            AWS_SECRET_ACCESS_KEY="s3cret",
            AWS_REGION="us-east-1",
        )
        job = await push(queue, "s3://bucket/builds/app.tar", target)
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)
        assert (await asyncio.to_thread(skopeo_inspect, target))["Digest"] == job.digest
        assert {request.path for request in store.requests} == {"/bucket/builds/app.tar"}
        assert all("X-Amz-Signature" in request.query for request in store.requests)
        assert "X-Amz-Signature" not in worker.log
        refused = await push(queue, "s3://bucket/other/app.tar", target)
        assert refused.error_kind == "source_not_allowed"


async def test_a_cut_and_a_dead_worker_are_gone_on_from(
    big: BigArchive,
    start_worker: StartReader,
    queue: PushQueue,
    target: str,
) -> None:
    async with ObjectServer(big.path) as server:
        env = {"PUSH_QUEUE_LEASE_SECONDS": "3"}
        first = start_worker(f"{server.url}/", **env)
        server.cut(after=2 * MIB)
        stand = server.hold(after=5 * MIB)
        job = await queue.enqueue(server.url_of_object, target)
        await stand.reached.wait()
        first.kill()
        stand.released.set()
        start_worker(f"{server.url}/", **env)
        ended = await queue.wait(job.id, timeout=60)
        assert (ended.state, ended.error) == (JobState.SUCCEEDED, None)
        assert (await asyncio.to_thread(skopeo_inspect, target))["Digest"] == ended.digest


async def test_an_upload_that_breaks_is_sent_again_from_the_url(
    big: BigArchive,
    start_worker: StartReader,
    queue: PushQueue,
    proxy: FaultProxy,
    repository: str,
) -> None:
    async with ObjectServer(big.path) as server:
        proxy.cut(is_patch, after=1 * MIB)
        worker = start_worker(f"{server.url}/", PUSH_QUEUE_PLAIN_HTTP_HOSTS=proxy.host)
        job = await push(queue, server.url_of_object, f"{proxy.host}/{repository}:1")
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)
        assert [one.outcome for one in await queue.attempts(job.id)] == [Outcome.SUCCEEDED]
        assert "put off" not in worker.log


async def test_a_server_that_fails_in_the_middle_is_named(
    big: BigArchive,
    start_worker: StartReader,
    queue: PushQueue,
    target: str,
) -> None:
    async with ObjectServer(big.path) as server:
        server.answer = lambda request: (
            web.Response(status=500) if len(asked_of(request)) > 6 * MIB else None
        )
        start_worker(f"{server.url}/")
        job = await queue.enqueue(server.url_of_object, target, give_up_after=timedelta(seconds=1))
        ended = await queue.wait(job.id, timeout=60)
        assert (ended.state, ended.error_kind) == (JobState.FAILED, "source_unavailable")
        assert "its server answered 500" in (ended.error or "")


def asked_of(request: web.BaseRequest) -> range:
    """The bytes of an object that a request is for."""
    first, _, last = request.headers["Range"].removeprefix("bytes=").partition("-")
    return range(int(first), int(last) + 1)


async def test_another_object_at_the_next_attempt_is_refused(
    big: BigArchive,
    start_worker: StartReader,
    queue: PushQueue,
    tmp_path: Path,
    target: str,
) -> None:
    other = write_big_archive(tmp_path / "other.tar", [4 * MIB], seed=7)
    async with ObjectServer(big.path) as server:
        env = {"PUSH_QUEUE_LEASE_SECONDS": "3"}
        first = start_worker(f"{server.url}/", **env)
        stand = server.hold(after=2 * MIB)
        job = await queue.enqueue(server.url_of_object, target)
        await stand.reached.wait()
        first.kill()
        stand.released.set()
        server.replace(other.path)
        start_worker(f"{server.url}/", **env)
        ended = await queue.wait(job.id, timeout=60)
        assert (ended.state, ended.error_kind) == (JobState.FAILED, "source_changed")


@pytest.mark.parametrize("after", [100, 4 * MIB], ids=["index", "layer"])
async def test_a_silent_server_of_tars_holds_up_neither_cancel_nor_stop(
    after: int,
    big: BigArchive,
    start_worker: StartReader,
    queue: PushQueue,
    target: str,
) -> None:
    """Each ends long before the time-out of a server, which is an hour here."""
    async with ObjectServer(big.path) as server:
        env = {
            "PUSH_QUEUE_REGISTRY_TIMEOUT_SECONDS": "3600",
            "PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS": "1",
        }
        worker = start_worker(f"{server.url}/", **env)
        stands = [server.hold(after=after), server.hold(after=after)]
        first = await queue.enqueue(server.url_of_object, target)
        await stands[0].reached.wait()
        await queue.cancel(first.id)
        assert (await queue.wait(first.id, timeout=60)).state is JobState.CANCELLED
        second = await queue.enqueue(server.url_of_object, target)
        await stands[1].reached.wait()
        assert await asyncio.to_thread(worker.terminate, 60) == 0
        assert (await queue.status(second.id)).state is JobState.QUEUED
        for stand in stands:
            stand.released.set()


async def test_a_server_that_fails_for_a_while_is_tried_again(
    big: BigArchive,
    start_worker: StartReader,
    queue: PushQueue,
    target: str,
) -> None:
    async with ObjectServer(big.path) as server:
        failures = iter([503])
        server.answer = lambda _: (
            web.Response(status=status) if (status := next(failures, 0)) else None
        )
        start_worker(f"{server.url}/")
        job = await push(queue, server.url_of_object, target)
        assert (job.state, job.attempt) == (JobState.SUCCEEDED, 1)
        first, _ = await queue.attempts(job.id)
        assert first.error_kind == "source_unavailable"


async def test_a_server_without_ranges_is_read_once_into_the_spool(
    big: BigArchive,
    start_worker: StartReader,
    queue: PushQueue,
    tmp_path: Path,
    target: str,
) -> None:
    spool = tmp_path / "spool"
    spool.mkdir()
    async with ObjectServer(big.path) as server:
        server.ranges = False
        worker = start_worker(f"{server.url}/")
        job = await push(queue, f"{server.url_of_object}?{SECRET}", target)
        assert (job.state, job.error_kind) == (JobState.FAILED, "source_unreadable")
        assert "no spool" in (job.error or "")
        worker.terminate()
        start_worker(f"{server.url}/", PUSH_QUEUE_SPOOL=str(spool))
        job = await push(queue, server.url_of_object, target)
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)
        assert (await asyncio.to_thread(skopeo_inspect, target))["Digest"] == job.digest
        assert list(spool.iterdir()) == []


@pytest.mark.parametrize(
    ("urls", "source", "error_kind", "says"),
    [
        ([], "http://{host}/app.tar", "source_not_allowed", "set PUSH_QUEUE_SOURCE_URLS"),
        (["http://{host}/b/"], "http://{host}/a/app.tar", "source_not_allowed", "not below"),
        (["http://{host}/b/"], "http://{host}/b/../a", "source_not_allowed", ".. in its path"),
        (["http://{other}/"], "http://{host}/app.tar", "source_not_allowed", "not below"),
        (["http://{name}/"], "http://{name}/app.tar", "source_not_allowed", "no public address"),
        (["http://{name}/", "10.0.0.0/8"], "http://{name}/a", "source_not_allowed", "no public"),
        (["http://{name}/", "127.0.0.0/8"], "http://{name}/app.tar", None, ""),
        (["http://{host}/a/"], "http://{host}/a/to-other", "source_not_allowed", "redirects"),
        (["http://{host}/a/"], "http://{host}/a/to-metadata", "source_not_allowed", "redirects"),
        (["http://{host}/a/"], "http://{host}/a/missing", "source_unreadable", "404"),
    ],
)
async def test_hostile_sources(
    urls: list[str],
    source: str,
    error_kind: str | None,
    says: str,
    start_worker: StartReader,
    queue: PushQueue,
    tmp_path: Path,
    target: str,
) -> None:
    """`name` is no address, and leads to the loopback, as a name of an attacker may."""
    archive = ARCHIVES["docker-oci"](tmp_path)
    async with ObjectServer(archive.path) as server, ObjectServer(archive.path) as other:
        places = {
            "host": server.host,
            "other": other.host,
            "name": f"127.1:{server.host.rpartition(':')[2]}",
        }
        redirects = {
            "/a/to-other": other.url_of_object,
            "/a/to-metadata": "http://169.254.169.254/latest/meta-data/",
        }

        def answer(request: web.BaseRequest) -> web.Response | None:
            if location := redirects.get(request.path):
                return web.Response(status=302, headers={"Location": location})
            return web.Response(status=404) if request.path == "/a/missing" else None

        server.answer = answer
        start_worker(*(url.format(**places) for url in urls))
        url = f"{source.format(**places)}?{SECRET}"
        job = await push(queue, url, target)
        assert job.error_kind == error_kind, job.error
        assert says in (job.error or "")
        assert SECRET not in (job.error or "")
        assert not other.requests


async def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """`push-queue` with these arguments."""
    return await asyncio.to_thread(push_queue, *arguments, env=clean_environment(**env))


@pytest.mark.parametrize("by", ["redis", "server"])
async def test_enqueue_takes_a_url(
    by: str,
    start_worker: StartReader,
    serve: Serve,
    tmp_path: Path,
    redis_url: str,
    namespace: str,
    target: str,
) -> None:
    archive = ARCHIVES["docker-oci"](tmp_path)
    here = {"PUSH_QUEUE_REDIS_URL": redis_url, "PUSH_QUEUE_NAMESPACE": namespace}
    if by == "server":
        api = await asyncio.to_thread(serve)
        here = {"PUSH_QUEUE_SERVER": api.url}
    async with ObjectServer(archive.path) as server:
        worker = start_worker(f"{server.url}/")
        url = f"{server.url_of_object}?{SECRET}"
        done = await run("enqueue", url, "--to", target, "--id", "job", "--wait", **here)
        assert done.returncode == 0, done.stderr
        shown = await run("status", "job", **here)
        assert server.url_of_object in shown.stdout
        assert SECRET not in done.stdout + done.stderr + shown.stdout + worker.log
        again = await run("enqueue", url, "--to", target, "--id", "job", **here)
        assert again.stdout == "job\n"
        other = await run("enqueue", f"{url}2", "--to", target, "--id", "job", **here)
        assert other.returncode == 2
        assert SECRET not in other.stderr


async def test_the_api_takes_a_url_and_shows_no_signature(serve: Serve, queue: PushQueue) -> None:
    api = await asyncio.to_thread(serve)
    url = f"https://artifacts.example.com/app.tar?{SECRET}"

    def post(source: str) -> tuple[int, str]:
        body = json.dumps({"id": "job", "source": source, "targets": ["reg.example.com/app:1"]})
        kind = ("-H", "Content-Type: application/json")
        status, answer = api.curl("/api/v1/jobs", *kind, "-d", body)
        return status, json.dumps(answer)

    sources = {f"https://user:pass@example.com/app.tar?{SECRET}": 400, url: 202, f"{url}2": 409}
    for source, expected in sources.items():
        status, answer = await asyncio.to_thread(post, source)
        assert status == expected, answer
        assert SECRET not in answer
        assert "pass@" not in answer
    assert (await queue.status("job")).source == url
    status, job = await asyncio.to_thread(api.curl, "/api/v1/jobs/job")
    assert (status, job["source"]) == (200, "https://artifacts.example.com/app.tar")
    assert SECRET not in api.process.log


async def test_push_takes_a_url_without_a_queue(tmp_path: Path, target: str) -> None:
    archive = ARCHIVES["docker-oci"](tmp_path)
    async with ObjectServer(archive.path) as server:
        arguments = ("push", f"{server.url_of_object}?{SECRET}", "--to", target)
        refused = await run(*arguments, HOME=str(tmp_path))
        assert refused.returncode == 2
        assert "set PUSH_QUEUE_SOURCE_URLS" in refused.stderr
        done = await run(*arguments, HOME=str(tmp_path), PUSH_QUEUE_SOURCE_URLS=server.url)
        assert done.returncode == 0, done.stderr
        found = await asyncio.to_thread(skopeo_inspect, target)
        assert done.stdout.strip() == found["Digest"]
        assert SECRET not in refused.stderr + done.stderr


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc")
async def test_memory_does_not_grow_with_the_tar(
    start_worker: StartReader,
    queue: PushQueue,
    tmp_path: Path,
    target: str,
) -> None:
    big = write_big_archive(tmp_path / "app.tar", [120 * MIB, 120 * MIB])
    async with ObjectServer(big.path) as server:
        worker = start_worker(f"{server.url}/")
        job = await push(queue, server.url_of_object, target)
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)
        assert peak_bytes(worker.pid) < 150 * MIB


def peak_bytes(pid: int) -> int:
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) << 10
