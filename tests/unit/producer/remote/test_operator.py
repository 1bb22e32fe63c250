"""What an operator asks of a server, in one request each."""

from collections.abc import AsyncIterator

import pytest

from producer import PushQueue
from producer.errors import ServerRefusedError
from producer.remote.operator import RemoteOperator
from push_queue.webhook_outbox import WebhookOutbox
from tests.support.proxy import FaultProxy
from tests.support.webhooks import webhook


@pytest.fixture
async def operator(proxy: FaultProxy) -> AsyncIterator[RemoteOperator]:
    async with RemoteOperator.connect(proxy.url) as operator:
        yield operator


@pytest.mark.parametrize("name", ["ic", "a/b", "../jobs/x", "ä ?#%2F"])
async def test_who_is_unknown_is_looked_for_by_the_server_alone(
    operator: RemoteOperator, queue: PushQueue, proxy: FaultProxy, name: str
) -> None:
    await WebhookOutbox(queue.database).register("ci", webhook())
    with pytest.raises(ServerRefusedError, match="workers know ci") as failure:
        await operator.ping_webhook(name)
    assert failure.value.kind == "unknown-webhook"
    assert repr(name) in str(failure.value)
    with pytest.raises(ServerRefusedError, match="workers know ci"):
        await operator.forget_webhook(name)
    with pytest.raises(ServerRefusedError, match="is alive") as failure:
        await operator.drain(name)
    assert failure.value.kind == "unknown-worker"
    assert repr(name) in str(failure.value)
    assert len(proxy.requests) == 3


async def test_a_receiver_of_webhooks_is_forgotten(
    operator: RemoteOperator, queue: PushQueue, proxy: FaultProxy
) -> None:
    await WebhookOutbox(queue.database).register("ci", webhook())
    assert (await operator.forget_webhook("ci", dry_run=True)).events == 0
    assert [receiver.name for receiver in await operator.webhooks()] == ["ci"]
    await operator.forget_webhook("ci")
    assert await operator.webhooks() == ()
    assert proxy.requests[0].target == "/api/v1/webhooks/ci/forget?dry_run=true"
