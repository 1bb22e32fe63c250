"""One browser for all tests of the page, and one server for each module.

What Playwright makes belongs to one event loop, so these tests and fixtures share the session's.
"""

import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack
from typing import Any

import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page

from push_queue.settings.api_tokens import Role
from tests.browser.scene import Scene
from tests.browser.site import MOST_SHOWN, Site, Visitor, run_site, visit
from tests.support.browser import run_chromium
from tests.support.processes import ManagedProcess
from tests.support.servers import RedisServer, wait_for_worker, worker_process

OpenPage = Callable[..., Awaitable[Page]]
"""What the fixture `open_page` is."""


@pytest_asyncio.fixture(loop_scope="session", scope="session")
async def browser() -> AsyncIterator[Browser]:
    async with run_chromium() as browser:
        yield browser


@pytest_asyncio.fixture(loop_scope="session", scope="module")
async def site(
    browser: Browser, shared_redis: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Site]:
    """A server with a queue of its own for all tests of a module."""
    folder = tmp_path_factory.mktemp("site")
    async with run_site(folder, shared_redis.url, f"test-{uuid.uuid4().hex[:12]}") as site:
        yield site


@pytest.fixture
def scene(site: Site) -> Scene:
    return Scene(site)


@pytest.fixture(scope="module")
def pushing(site: Site, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ManagedProcess]:
    """A worker of the site."""
    log_path = tmp_path_factory.mktemp("worker") / "worker.log"
    with worker_process(log_path, site.env) as process:
        wait_for_worker(process, site.env["PUSH_QUEUE_REDIS_URL"], site.env["PUSH_QUEUE_NAMESPACE"])
        yield process


@pytest_asyncio.fixture(loop_scope="session")
async def open_page(browser: Browser, site: Site) -> AsyncIterator[OpenPage]:
    """Open the page as somebody: `await open_page("/?state=failed", role=Role.READ)`.

    Whatever its scripts or its policy of contents complain about fails the test at its end.
    """
    async with AsyncExitStack() as stack:

        async def open_page(
            address: str = "/", role: Role | None = Role.ADMIN, **options: Any
        ) -> Page:
            visitor = await stack.enter_async_context(visit(browser, site.url, role, **options))
            visitors.append(visitor)
            return await visitor.open(address)

        visitors: list[Visitor] = []
        yield open_page
        for visitor in visitors:
            print(await visitor.evidence())
        print(site.server.process.log[-MOST_SHOWN:])
