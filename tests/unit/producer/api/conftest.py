from collections.abc import AsyncIterator

import pytest
from aiohttp import DummyCookieJar
from aiohttp.test_utils import TestClient, TestServer

from producer import PushQueue
from producer.api.application import make_application
from push_queue.settings import Settings
from tests.support.api import Api


@pytest.fixture
async def api(queue: PushQueue, settings: Settings) -> AsyncIterator[Api]:
    """The API of `queue`, over a real socket."""
    server = TestServer(make_application(queue, settings))
    # Each test says itself which cookies it sends.
    async with TestClient(server, cookie_jar=DummyCookieJar()) as client:
        yield Api(client)
