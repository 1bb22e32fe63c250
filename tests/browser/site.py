"""A server of the page, and a browser that looks at it."""

import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request, Route

from producer import PushQueue, load_settings
from push_queue.redis.keys import Keys
from push_queue.settings.api_tokens import Role, hash_of
from tests.support.api_server import ApiServer, run_api_server
from tests.support.browser import HANG_MS
from tests.support.stores import Stores
from tests.support.tokens import TOKENS

SESSION = "/api/v1/session"

ANSWERED_NO = "Failed to load resource"
"""What a browser's console says of every answer that is an error, which the page shows itself."""

PAGE_FILES = re.compile(r"^https?://[^/]+/(page/|\?|$)")

MOST_SHOWN = 3000
"""Characters of a page that are shown where a test fails."""


@dataclass
class Site:
    """A `push-queue serve` with a token of each role, and the queue behind it."""

    server: ApiServer
    queue: PushQueue
    env: dict[str, str]

    @property
    def url(self) -> str:
        return self.server.url

    @property
    def stores(self) -> Stores:
        """What workers write."""
        database = self.queue.database
        return Stores(database.redis, database.keys)

    @property
    def keys(self) -> Keys:
        return self.queue.database.keys


@asynccontextmanager
async def run_site(
    folder: Path, redis_url: str, namespace: str, *, tokens: bool = True
) -> AsyncIterator[Site]:
    env = {"PUSH_QUEUE_REDIS_URL": redis_url, "PUSH_QUEUE_NAMESPACE": namespace}
    access = {"PUSH_QUEUE_API_TOKENS": json.dumps(_tokens())} if tokens else {}
    with run_api_server(folder / "serve.log", **env, **access) as server:
        settings = load_settings(redis_url=redis_url, namespace=namespace)
        async with PushQueue.connect(settings) as queue:
            yield Site(server, queue, env)


def _tokens() -> dict[str, Any]:
    """Of each role, for every target."""
    everything = {"targets": ["*/*"]}
    return {
        f"team-{role}": {
            "role": role,
            "sha256": hash_of(TOKENS[role]),
            **(everything if role in (Role.READ, Role.ENQUEUE) else {}),
        }
        for role in Role
    }


class Visitor:
    """A browser of one person, who is logged in unless without a role.

    Attributes:
        complaints: what the page did that no page should do: errors of its scripts, and what its
            policy of contents kept from running.
        heard: all that its console says.
        asked: those that are not answered yet.
    """

    def __init__(self, context: BrowserContext, url: str) -> None:
        self.context = context
        self.url = url
        self.complaints: list[str] = []
        self.heard: list[str] = []
        self.asked: dict[Request, None] = {}
        context.set_default_timeout(HANG_MS)
        context.on("console", self._hear)
        context.on("weberror", lambda error: self.complaints.append(str(error.error)))
        context.on("console", lambda message: self.heard.append(message.text))
        context.on("request", lambda request: self.asked.setdefault(request))
        context.on("response", lambda response: self.asked.pop(response.request, None))

    async def log_in(self, role: Role) -> None:
        answer = await self.context.request.post(
            self.url + SESSION, data={"token": TOKENS[role]}, headers={"Origin": self.url}
        )
        assert answer.status == 201, await answer.text()

    async def open(self, address: str = "/") -> Page:
        """The page in a new tab, at an address such as `/?state=failed`."""
        page = await self.context.new_page()
        await page.goto(address)
        return page

    async def evidence(self) -> str:
        """What there is to be seen, for whoever reads why a test failed."""
        views = [
            f"{page.url}\n{(await page.locator('body').aria_snapshot())[:MOST_SHOWN]}"
            for page in self.context.pages
        ]
        silent = [f"not answered: {request.url} {request.failure or ''}" for request in self.asked]
        return "\n".join([*self.heard, *silent, *views])

    def _hear(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and ANSWERED_NO not in message.text:
            self.complaints.append(message.text)


async def load_beside_chromium(route: Route) -> None:
    """Chromium drops its connections whenever any network of the machine changes, and other tests
    make networks. The page sends its requests again; what loads it cannot.
    """
    await route.fulfill(response=await route.fetch())


@asynccontextmanager
async def visit(
    browser: Browser, url: str, role: Role | None = Role.ADMIN, **options: Any
) -> AsyncIterator[Visitor]:
    """`options` are those of Playwright's contexts: `viewport`, `color_scheme`, …"""
    options = {"base_url": url, "locale": "en-GB", "timezone_id": "UTC", **options}
    async with await browser.new_context(**options) as context:
        await context.route(PAGE_FILES, load_beside_chromium)
        visitor = Visitor(context, url)
        if role:
            await visitor.log_in(role)
        yield visitor
    assert visitor.complaints == []
