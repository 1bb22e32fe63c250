"""Fixtures of the tests that push by the engine, or over queue and workers."""

import gc
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from redis.asyncio import Redis

from producer import PushQueue, load_settings
from push_queue.redis.keys import Keys
from registry_api_v2_client.push.engine import ImagePusher
from tests.support.api_server import ApiServer, Serve, run_api_server
from tests.support.big_images import BigArchive, write_big_archive
from tests.support.images import ARCHIVES
from tests.support.proxy import FaultProxy
from tests.support.pushes import FEW_AND_FAST
from tests.support.stores import Stores


@pytest.fixture(autouse=True, scope="module")
def memory() -> Iterator[None]:
    """Give back what a module's registries held: layers, in cycles that are found too late."""
    yield
    gc.collect()


@pytest.fixture
async def pusher() -> AsyncIterator[ImagePusher]:
    pusher = ImagePusher(retry=FEW_AND_FAST)
    yield pusher
    pusher.close()


@pytest.fixture
async def queue(redis_url: str, namespace: str) -> AsyncIterator[PushQueue]:
    """The queue of the `worker` fixture's processes."""
    settings = load_settings(redis_url=redis_url, namespace=namespace)
    async with PushQueue.connect(settings) as queue:
        yield queue


@pytest.fixture
async def redis(redis_url: str) -> AsyncIterator[Redis]:
    """The shared Valkey."""
    async with Redis.from_url(redis_url) as client:
        yield client


@pytest.fixture
def keys(namespace: str) -> Keys:
    return Keys(namespace)


@pytest.fixture
def stores(redis: Redis, keys: Keys) -> Stores:
    return Stores(redis, keys)


@pytest.fixture
def serve(tmp_path: Path, redis_url: str, namespace: str) -> Iterator[Serve]:
    """Start servers of the HTTP API on the shared Valkey: `serve(PUSH_QUEUE_SPOOL="…")`."""
    with ExitStack() as stack:

        def start(**env: str) -> ApiServer:
            env = {"PUSH_QUEUE_REDIS_URL": redis_url, "PUSH_QUEUE_NAMESPACE": namespace, **env}
            return stack.enter_context(run_api_server(tmp_path / "serve.log", **env))

        yield start


@pytest.fixture
async def proxy(registry_url: str) -> AsyncIterator[FaultProxy]:
    """In front of the shared registry."""
    async with FaultProxy(registry_url) as proxy:
        yield proxy


@pytest.fixture
def big(tmp_path: Path) -> BigArchive:
    """An archive with layers of several megabytes."""
    return write_big_archive(tmp_path / "big.tar", [2_500_000, 1_500_000])


@pytest.fixture
def tar(tmp_path: Path) -> Path:
    return ARCHIVES["docker-oci"](tmp_path).path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Where the command runs, so that no `.env` of a developer's is read."""
    folder = tmp_path / "work"
    folder.mkdir()
    return folder


@pytest.fixture
def spool(tmp_path: Path) -> Path:
    return tmp_path / "spool"


@pytest.fixture
def server(serve: Serve, spool: Path) -> ApiServer:
    return serve(PUSH_QUEUE_SPOOL=str(spool))
