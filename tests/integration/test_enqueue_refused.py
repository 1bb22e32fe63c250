"""What Redis refuses in the middle of enqueueing leaves nothing: no job that runs later."""

from collections.abc import AsyncIterator, Callable

import pytest

from producer import JobState, PushQueue, RedisRefusedError, load_settings
from tests.support.servers import RedisServer

pytestmark = pytest.mark.integration

TARGET = "localhost:15000/app:1"
USER = "producer"
RULES = ("on", "nopass", "+@all", "~push:*", "&push:*")


@pytest.fixture
def server(start_redis: Callable[[], RedisServer]) -> RedisServer:
    return start_redis()


@pytest.fixture
async def queue(server: RedisServer) -> AsyncIterator[PushQueue]:
    async with PushQueue.connect(load_settings(redis_url=server.url)) as queue:
        yield queue


def keys_of(server: RedisServer) -> set[str]:
    with server.client() as client:
        return set(client.keys())


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param((), id="arq's keys"),
        pytest.param(("~arq:*", "resetchannels"), id="publishing"),
    ],
)
async def test_a_user_who_may_not_write_all_of_it(server: RedisServer, rules: tuple[str]) -> None:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", USER, *RULES, *rules)
    settings = load_settings(redis_url=server.url.replace("//", f"//{USER}:x@"))
    async with PushQueue.connect(settings) as queue:
        with pytest.raises(RedisRefusedError, match="does not permit"):
            await queue.enqueue("/app.tar", TARGET)
    assert keys_of(server) == set()


async def test_a_user_who_may(server: RedisServer) -> None:
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", USER, *RULES, "~arq:*")
    settings = load_settings(redis_url=server.url.replace("//", f"//{USER}:x@"))
    async with PushQueue.connect(settings) as queue:
        job = await queue.enqueue("/app.tar", TARGET)
        assert await queue.cancel(job.id) is JobState.CANCELLED


async def test_a_redis_that_is_full(server: RedisServer, queue: PushQueue) -> None:
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(RedisRefusedError, match="out of memory"):
            await queue.enqueue("/app.tar", TARGET)
        client.config_set("maxmemory", "0")
    assert keys_of(server) == set()


async def test_a_redis_that_is_full_keeps_a_job_that_is_to_run_again(
    server: RedisServer, queue: PushQueue
) -> None:
    job = await queue.enqueue("/app.tar", TARGET)
    await queue.cancel(job.id)
    before = await queue.status(job.id)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(RedisRefusedError, match="out of memory"):
            await queue.retry(job.id)
        client.config_set("maxmemory", "0")
    assert await queue.status(job.id) == before


async def test_a_replica(server: RedisServer, queue: PushQueue) -> None:
    with server.client() as client:
        client.replicaof("127.0.0.1", server.port + 1 if server.port < 65535 else 1)
        with pytest.raises(RedisRefusedError, match="read-only"):
            await queue.enqueue("/app.tar", TARGET)
        client.replicaof("NO", "ONE")
    assert keys_of(server) == set()
