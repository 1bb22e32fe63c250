from collections.abc import AsyncIterator

import pytest
from aiohttp.test_utils import TestServer

from producer import PushQueue
from producer.api.application import make_application
from producer.remote.queue import RemoteQueue
from push_queue.settings import Settings
from tests.support.proxy import FaultProxy


@pytest.fixture
async def proxy(queue: PushQueue, settings: Settings) -> AsyncIterator[FaultProxy]:
    """In front of a server of `queue`."""
    async with (
        TestServer(make_application(queue, settings)) as server,
        FaultProxy(str(server.make_url(""))) as proxy,
    ):
        yield proxy


@pytest.fixture
async def remote(proxy: FaultProxy) -> AsyncIterator[RemoteQueue]:
    async with RemoteQueue.connect(proxy.url) as remote:
        yield remote
