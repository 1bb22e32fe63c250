"""Workers that share no folder with anybody, and partly not even the network.

What they read is cut in the middle, twice. They go on there, and keep nothing on their disk.
"""

import asyncio
import hashlib
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Self

import pytest

from producer import JobState, JobStatus, PushQueue
from push_queue.settings.api_tokens import hash_of
from tests.support.api_server import Serve
from tests.support.big_images import BigArchive, write_big_archive
from tests.support.certificates import Authority
from tests.support.cutting_proxy import CuttingProxy
from tests.support.elsewhere import Place, another_network
from tests.support.object_server import PATH, ObjectServer
from tests.support.processes import ManagedProcess
from tests.support.servers import Registry, wait_for_worker
from tests.support.skopeo import skopeo_copy_to_dir

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="reads /proc"),
]

MIB = 1 << 20
MOST_MEMORY = 150 * 1000 * 1000
STORE = {
    "AWS_ALLOW_HTTP": "true",
    "AWS_ACCESS_KEY_ID": "key",
    "AWS_SECRET_ACCESS_KEY": "s3cret",
    "AWS_REGION": "us-east-1",
}


@pytest.fixture(scope="module")
def tar(tmp_path_factory: pytest.TempPathFactory) -> BigArchive:
    return write_big_archive(tmp_path_factory.mktemp("big") / "app.tar", [40 * MIB, 2 * MIB])


@pytest.fixture(params=["folder", "network"])
def place(request: pytest.FixtureRequest) -> Iterator[Place]:
    """What is another one there."""
    if request.param == "folder":
        yield Place("127.0.0.1")
        return
    with another_network() as place:
        yield place


class Elsewhere:
    """A worker in another place, and what it can reach from there: the rest by proxies."""

    def __init__(self, place: Place, folder: Path, redis_url: str, namespace: str) -> None:
        self._place = place
        self._folder = folder
        self._redis_url = redis_url
        self._namespace = namespace
        self._open = AsyncExitStack()
        self._worker: ManagedProcess | None = None

    async def __aenter__(self) -> Self:
        await self._open.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._open.aclose()

    @property
    def address(self) -> str:
        return self._place.address

    async def forward(self, host: str) -> CuttingProxy:
        """The way to a server here."""
        return await self._open.enter_async_context(CuttingProxy(host, address=self.address))

    async def start(self, registry: str, **env: str) -> None:
        """Start the worker, which pushes to `registry`."""
        redis = await self.forward(self._redis_url.removeprefix("redis://").removesuffix("/0"))
        self._worker = self._place.worker(
            self._folder,
            PUSH_QUEUE_REDIS_URL=f"redis://{redis.host}/0",
            PUSH_QUEUE_NAMESPACE=self._namespace,
            PUSH_QUEUE_PLAIN_HTTP_HOSTS=registry,
            **env,
        )
        self._open.enter_context(self._worker)
        await asyncio.to_thread(wait_for_worker, self._worker, self._redis_url, self._namespace)

    def check_that_nothing_is_kept(self) -> None:
        """Neither in memory nor on the disk, where the worker could not write much anyway."""
        assert self._worker
        status = Path(f"/proc/{self._worker.pid}/status").read_text()
        assert int(status.partition("VmHWM:")[2].split()[0]) * 1024 < MOST_MEMORY
        found = {str(path.relative_to(self._folder)) for path in self._folder.rglob("*")}
        assert found == {"home", self._worker.log_path.name}


@pytest.fixture
async def elsewhere(
    place: Place, tmp_path: Path, redis_url: str, namespace: str
) -> AsyncIterator[Elsewhere]:
    async with Elsewhere(place, tmp_path / "elsewhere", redis_url, namespace) as elsewhere:
        yield elsewhere


@pytest.fixture
async def registry(elsewhere: Elsewhere, shared_registry: Registry) -> str:
    """The registry as the worker reaches it."""
    return (await elsewhere.forward(shared_registry.host)).host


async def push_with_cuts(
    queue: PushQueue, source: str, target: str, server: CuttingProxy, tar: BigArchive
) -> JobStatus:
    """Push, and cut the answers of the server in the middle: the job goes on in its one attempt."""
    server.cut(after=30 * MIB)
    server.cut(after=5 * MIB)
    job = await queue.enqueue(source, target, cleanup=source.startswith("upload:"))
    job = await queue.wait(job.id, timeout=120)
    assert (job.state, job.error, job.attempt) == (JobState.SUCCEEDED, None, 1)
    assert not server.cuts
    assert server.received < 1.4 * tar.path.stat().st_size
    return job


async def check_registry(target: str, job: JobStatus, tar: BigArchive, folder: Path) -> None:
    """skopeo reads back what was in the tar."""
    pulled = await asyncio.to_thread(skopeo_copy_to_dir, target, folder)
    assert pulled.digest == job.digest
    found = [f"sha256:{hashlib.sha256(content).hexdigest()}" for content in pulled.contents]
    assert found == tar.diff_ids


async def test_an_upload_that_the_server_keeps(
    elsewhere: Elsewhere,
    registry: str,
    registry_host: str,
    repository: str,
    serve: Serve,
    queue: PushQueue,
    tar: BigArchive,
    tmp_path: Path,
) -> None:
    tokens = {
        "ci": {"role": "enqueue", "targets": ["*/*"], "sha256": hash_of("token-of-ci")},
        "fleet": {"role": "worker", "sha256": hash_of("token-of-fleet")},
    }
    spool = tmp_path / "spool"
    api = await asyncio.to_thread(
        serve, PUSH_QUEUE_SPOOL=str(spool), PUSH_QUEUE_API_TOKENS=json.dumps(tokens)
    )
    bearer = ("-H", "Authorization: Bearer token-of-ci")
    status, upload = await asyncio.to_thread(
        api.curl, "/api/v1/uploads/", "-T", str(tar.path), *bearer
    )
    assert status == 201
    way = await elsewhere.forward(api.url.removeprefix("http://"))
    await elsewhere.start(
        registry, PUSH_QUEUE_SERVER=f"http://{way.host}", PUSH_QUEUE_TOKEN="token-of-fleet"
    )
    target = f"{repository}:1"
    job = await push_with_cuts(queue, upload["source"], f"{registry}/{target}", way, tar)
    elsewhere.check_that_nothing_is_kept()
    assert job.cleanup_outcome == "deleted"
    assert not list(spool.glob("*.tar"))
    await check_registry(f"{registry_host}/{target}", job, tar, tmp_path / "pulled")


async def test_an_https_url(
    elsewhere: Elsewhere,
    registry: str,
    registry_host: str,
    repository: str,
    queue: PushQueue,
    tar: BigArchive,
    authority: Authority,
    certs_dir: Path,
    tmp_path: Path,
) -> None:
    tls = authority.server([elsewhere.address]).context()
    async with ObjectServer(tar.path, tls=tls) as server:
        way = await elsewhere.forward(server.host)
        authority.trust(certs_dir, way.host)
        await elsewhere.start(
            registry,
            PUSH_QUEUE_SOURCE_URLS=f"https://{way.host}/",
            PUSH_QUEUE_REGISTRY_CERTS_DIR=str(certs_dir),
        )
        target = f"{repository}:1"
        url = f"https://{way.host}{PATH}"
        job = await push_with_cuts(queue, url, f"{registry}/{target}", way, tar)
        elsewhere.check_that_nothing_is_kept()
        await check_registry(f"{registry_host}/{target}", job, tar, tmp_path / "pulled")


async def test_an_object_in_a_bucket(
    elsewhere: Elsewhere,
    registry: str,
    registry_host: str,
    repository: str,
    queue: PushQueue,
    tar: BigArchive,
    tmp_path: Path,
) -> None:
    async with ObjectServer(tar.path) as store:
        way = await elsewhere.forward(store.host)
        await elsewhere.start(
            registry,
            PUSH_QUEUE_SOURCE_URLS="s3://bucket/",
            AWS_ENDPOINT_URL=f"http://{way.host}",
            **STORE,
        )
        target = f"{repository}:1"
        url = "s3://bucket/builds/app.tar"
        job = await push_with_cuts(queue, url, f"{registry}/{target}", way, tar)
        elsewhere.check_that_nothing_is_kept()
        assert {request.path for request in store.requests} == {"/bucket/builds/app.tar"}
        await check_registry(f"{registry_host}/{target}", job, tar, tmp_path / "pulled")
