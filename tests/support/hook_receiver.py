"""A receiver of webhooks that notes what comes, and answers as a test wants."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any, Self

from aiohttp import web

from tests.support.processes import HANG_SECONDS, free_port

Event = dict[str, Any]
Answer = Callable[[web.BaseRequest, Event], Awaitable[web.StreamResponse]]


async def take(_: web.BaseRequest, __: Event) -> web.StreamResponse:
    return web.Response(status=204)


def answer_with(status: int, **headers: str) -> Answer:
    async def answer(_: web.BaseRequest, __: Event) -> web.StreamResponse:
        return web.Response(status=status, headers=headers)

    return answer


async def hang(_: web.BaseRequest, __: Event) -> web.StreamResponse:
    await asyncio.Event().wait()
    raise AssertionError("unreachable")


async def close_at_once(request: web.BaseRequest, _: Event) -> web.StreamResponse:
    assert request.transport
    request.transport.abort()
    return web.Response(status=500)


async def close_in_the_middle(request: web.BaseRequest, _: Event) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Length": "1000"})
    await response.prepare(request)
    await response.write(b"x" * 10)
    assert request.transport
    request.transport.abort()
    return web.Response(status=500)


class HookReceiver:
    """Listens on one port of the loopback, in the block and after each ``open``.

    Attributes:
        tried: the events that came, with those that were not taken.
        taken: those that were answered with 2xx.
        requests: the headers, in lower case, and the body of each.
    """

    def __init__(self, answer: Answer = take) -> None:
        self.answer = answer
        self.tried: list[Event] = []
        self.taken: list[Event] = []
        self.requests: list[tuple[str, dict[str, str], bytes]] = []
        self.url = f"http://127.0.0.1:{free_port()}"
        self._runner: web.ServerRunner | None = None
        self._changed = asyncio.Condition()
        self._answers: set[asyncio.Future[web.StreamResponse]] = set()

    @property
    def events(self) -> list[Event]:
        """Those that were taken, as they first came. The same event may come again at any time."""
        known: dict[str, Event] = {}
        for event in self.taken:
            known.setdefault(event["id"], event)
        return list(known.values())

    async def open(self) -> None:
        self._runner = web.ServerRunner(web.Server(self._take), shutdown_timeout=0)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", int(self.url.rpartition(":")[2])).start()

    async def close(self) -> None:
        for answer in self._answers:
            answer.cancel()
        if self._runner:
            await self._runner.cleanup()
            self._runner = None

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def until(self, condition: Callable[[], bool]) -> None:
        """Wait until it holds; TimeoutError if nothing comes for a minute before that."""
        async with self._changed:
            while not condition():
                await asyncio.wait_for(self._changed.wait(), HANG_SECONDS)

    async def takes_more_than(self, number: int) -> None:
        """Wait until it has; TimeoutError as `until`."""
        await self.until(lambda: len(self.taken) > number)

    async def _take(self, request: web.BaseRequest) -> web.StreamResponse:
        body = await request.read()
        event = json.loads(body)
        headers = {name.lower(): value for name, value in request.headers.items()}
        self.requests.append((request.raw_path, headers, body))
        await self._note(self.tried, event)
        answer = asyncio.ensure_future(self.answer(request, event))
        self._answers.add(answer)
        answer.add_done_callback(self._answers.discard)
        # One that hangs is cancelled when this closes, for which aiohttp would wait.
        await asyncio.wait([answer])
        response = web.Response(status=500) if answer.cancelled() else answer.result()
        if 200 <= response.status < 300:
            await self._note(self.taken, event)
        return response

    async def _note(self, events: list[Event], event: Event) -> None:
        async with self._changed:
            events.append(event)
            self._changed.notify_all()
