"""A job that Redis refuses in the middle of enqueueing leaves nothing that runs later."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest

from producer import JobState, PushQueue, RedisRefusedError, load_settings
from push_queue.webhook_outbox import WebhookOutbox
from tests.support.servers import RedisServer
from tests.support.webhooks import webhook

pytestmark = pytest.mark.integration

TARGET = "localhost:15000/app:1"
USER = "producer"
RULES = ("on", "nopass", "+@all", "~push:*", "&push:*")
OWN_KEYS = ("~push:job*", "~push:finished", "~push:seq", "~push:events", "~push:queue")
WITHOUT_SOURCES = ("resetkeys", "~arq:*", "~push:registry:*", *OWN_KEYS)
"""The ACL of a producer from before jobs were kept by source."""


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


def contents_of(server: RedisServer) -> dict[str, object]:
    with server.client() as client:
        return {key: client.dump(key) for key in keys_of(server)}


@asynccontextmanager
async def limited_queue(server: RedisServer, rules: tuple[str, ...]) -> AsyncIterator[PushQueue]:
    """The queue for a user with these rules besides the common ones."""
    with server.client() as client:
        client.execute_command("ACL", "SETUSER", USER, *RULES, *rules)
    settings = load_settings(redis_url=server.url.replace("//", f"//{USER}:x@"))
    async with PushQueue.connect(settings) as queue:
        yield queue


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param((), id="arq's keys"),
        pytest.param(("~arq:*", "resetchannels"), id="publishing"),
        pytest.param(WITHOUT_SOURCES, id="sources"),
    ],
)
async def test_a_user_who_may_not_write_all_of_it(
    server: RedisServer, queue: PushQueue, rules: tuple[str, ...]
) -> None:
    async with limited_queue(server, rules) as limited:
        with pytest.raises(RedisRefusedError, match="does not permit"):
            await limited.enqueue("/app.tar", TARGET)
        assert keys_of(server) == set()
        job = await queue.enqueue("/app.tar", TARGET)
        await queue.cancel(job.id)
        before = contents_of(server)
        with pytest.raises(RedisRefusedError, match="does not permit"):
            await limited.retry(job.id)
    assert contents_of(server) == before


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(("%R~arq:*",), id="arq's keys"),
        pytest.param(("~arq:*", "resetchannels"), id="publishing"),
        pytest.param(WITHOUT_SOURCES, id="sources"),
        pytest.param(
            ("resetkeys", "~arq:*", "~push:source:*", *OWN_KEYS), id="what waits for registries"
        ),
    ],
)
async def test_a_user_who_may_not_take_all_of_it_away(
    server: RedisServer, queue: PushQueue, rules: tuple[str, ...]
) -> None:
    job = await queue.enqueue("/app.tar", TARGET)
    with server.client() as client:
        client.hset(f"push:job:{job.id}", "waiting_at", "localhost:15000")
        client.zadd("push:registry:localhost:15000:waiting", {job.id: 1})
    before = contents_of(server)
    async with limited_queue(server, rules) as limited:
        with pytest.raises(RedisRefusedError, match="does not permit"):
            await limited.cancel(job.id)
    assert contents_of(server) == before


@pytest.mark.parametrize(
    "rules",
    [
        pytest.param(("%R~push:webhooks",), id="receivers"),
        pytest.param(("~push:webhook:*",), id="their names"),
        pytest.param(("%R~push:webhooks", "%R~push:webhook:*"), id="their events"),
    ],
)
async def test_a_user_who_may_not_tell_the_receivers_of_webhooks(
    server: RedisServer, queue: PushQueue, rules: tuple[str, ...]
) -> None:
    await WebhookOutbox(queue.database).register("ci", webhook())
    job = await queue.enqueue("/app.tar", TARGET)
    before = contents_of(server)
    others = ("resetkeys", "~arq:*", "~push:registry:*", "~push:source:*", *OWN_KEYS)
    async with limited_queue(server, (*others, *rules)) as limited:
        with pytest.raises(RedisRefusedError, match="does not permit"):
            await limited.cancel(job.id)
    assert contents_of(server) == before


async def test_a_user_who_may(server: RedisServer) -> None:
    async with limited_queue(server, ("~arq:*",)) as queue:
        job = await queue.enqueue("/app.tar", TARGET)
        assert await queue.cancel(job.id) is JobState.CANCELLED


async def test_a_redis_that_is_full(server: RedisServer, queue: PushQueue) -> None:
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(RedisRefusedError, match="out of memory"):
            await queue.enqueue("/app.tar", TARGET)
        client.config_set("maxmemory", "0")
    assert keys_of(server) == set()


async def test_what_is_delivered_leaves_a_redis_that_is_full(
    server: RedisServer, queue: PushQueue
) -> None:
    outbox = WebhookOutbox(queue.database)
    await outbox.register("ci", webhook())
    job = await queue.enqueue("/app.tar", TARGET)
    await queue.cancel(job.id)
    ((event,), _) = await outbox.read("ci", limit=1)
    with server.client() as client:
        client.config_set("maxmemory", "1")
        await outbox.delivered("ci", event.place)
        client.config_set("maxmemory", "0")
    [status] = await outbox.statuses()
    assert (status.waiting, status.delivered) == (0, 1)


async def test_a_redis_that_is_full_takes_none_of_many(
    server: RedisServer, queue: PushQueue
) -> None:
    jobs = [queue.describe("/app.tar", TARGET, labels={"of": "mine"}) for _ in range(3)]
    with server.client() as client:
        client.config_set("maxmemory", "1")
        with pytest.raises(RedisRefusedError, match="is out of memory") as refusal:
            await queue.enqueue_many(jobs)
        client.config_set("maxmemory", "0")
    assert "mine" not in str(refusal.value)
    assert keys_of(server) == set()
    await queue.enqueue_many(jobs)
    assert len(await queue.list()) == 3


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
