"""What an operator asks of a server, in one request each."""

from collections.abc import AsyncIterator, Awaitable, Callable

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from producer import PushQueue
from producer.api.application import make_application
from producer.errors import ServerRefusedError
from producer.remote.operator import RemoteOperator
from push_queue.settings import Settings
from push_queue.webhook_outbox import WebhookOutbox
from tests.support.webhooks import webhook


@pytest.fixture
def asked() -> list[str]:
    """The path of each request."""
    return []


@pytest.fixture
async def remote(
    queue: PushQueue, settings: Settings, asked: list[str]
) -> AsyncIterator[RemoteOperator]:
    @web.middleware
    async def note(
        request: web.Request, handler: Callable[[web.Request], Awaitable[web.StreamResponse]]
    ) -> web.StreamResponse:
        asked.append(request.raw_path)
        return await handler(request)

    application = make_application(queue, settings)
    application.middlewares.append(note)
    async with (
        TestServer(application) as server,
        RemoteOperator.connect(str(server.make_url(""))) as remote,
    ):
        yield remote


@pytest.mark.parametrize("name", ["ic", "a/b", "../jobs/x", "ä ?#%2F"])
async def test_who_is_unknown_is_looked_for_by_the_server_alone(
    remote: RemoteOperator, queue: PushQueue, asked: list[str], name: str
) -> None:
    await WebhookOutbox(queue.database).register("ci", webhook())
    with pytest.raises(ServerRefusedError, match="workers know ci") as failure:
        await remote.ping_webhook(name)
    assert failure.value.kind == "unknown-webhook"
    assert repr(name) in str(failure.value)
    with pytest.raises(ServerRefusedError, match="workers know ci"):
        await remote.forget_webhook(name)
    with pytest.raises(ServerRefusedError, match="is alive") as failure:
        await remote.drain(name)
    assert failure.value.kind == "unknown-worker"
    assert repr(name) in str(failure.value)
    assert len(asked) == 3


async def test_a_receiver_of_webhooks_is_forgotten(
    remote: RemoteOperator, queue: PushQueue, asked: list[str]
) -> None:
    await WebhookOutbox(queue.database).register("ci", webhook())
    assert (await remote.forget_webhook("ci", dry_run=True)).events == 0
    assert [receiver.name for receiver in await remote.webhooks()] == ["ci"]
    await remote.forget_webhook("ci")
    assert await remote.webhooks() == ()
    assert asked[0] == "/api/v1/webhooks/ci/forget?dry_run=true"
