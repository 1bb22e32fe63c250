"""The server has room for its connections, however few files the shell allows."""

import resource
from collections.abc import Iterator

import pytest

from producer import PushQueue
from producer.api.open_files import WANTED
from producer.api.server import running_server
from push_queue.settings import Settings

FEW = 512
_, MOST = resource.getrlimit(resource.RLIMIT_NOFILE)


@pytest.fixture
def limit() -> Iterator[None]:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.parametrize(
    ("allowed", "expected"),
    [(FEW, WANTED if MOST == resource.RLIM_INFINITY else min(WANTED, MOST)), (MOST, MOST)],
)
async def test_the_limit_is_raised_where_it_is_low(
    queue: PushQueue, settings: Settings, limit: None, allowed: int, expected: int
) -> None:
    resource.setrlimit(resource.RLIMIT_NOFILE, (allowed, MOST))
    async with running_server(queue, settings, "127.0.0.1", 0):
        assert resource.getrlimit(resource.RLIMIT_NOFILE) == (expected, MOST)
