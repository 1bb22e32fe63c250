"""Which jobs have ended, as the server's stream of events tells it."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from aiohttp import ClientError, ClientResponse
from pydantic import ValidationError

from producer.errors import ServerUnavailableError
from producer.remote.requests import Requests, read
from push_queue.errors import QueueError
from push_queue.jobs.events import JobEvent

MOST_KEPT = 10_000
"""Ended jobs that nobody has asked for yet; the server keeps no more events."""
PAUSE_SECONDS = 1.0


class Endings:
    """Hears of ended jobs, from its start on, also of those that end between two looks."""

    def __init__(self, requests: Requests) -> None:
        self._requests = requests
        self._ended: deque[str] = deque(maxlen=MOST_KEPT)
        self._last_event = ""
        self._begun = asyncio.Event()

    @asynccontextmanager
    async def heard(self) -> AsyncIterator[None]:
        """Listen within the block."""
        listening = asyncio.create_task(self._listen())
        try:
            await self._begun.wait()
            yield
        finally:
            listening.cancel()
            with suppress(asyncio.CancelledError):
                await listening

    def take(self) -> tuple[str, ...]:
        """The jobs that have ended since, each once."""
        ended = tuple(dict.fromkeys(self._ended))
        self._ended.clear()
        return ended

    async def _listen(self) -> None:
        while True:
            # Whoever watches asks for jobs, too, and is told there what is wrong.
            with suppress(ClientError, TimeoutError, QueueError):
                await self._follow()
            self._begun.set()
            await asyncio.sleep(PAUSE_SECONDS)

    async def _follow(self) -> None:
        headers = {"Last-Event-ID": self._last_event} if self._last_event else {}
        url = self._requests.url("events")
        async with self._requests.session.get(
            url, headers=headers, allow_redirects=False
        ) as answer:
            if answer.content_type != "text/event-stream":
                await read(answer)
                raise ServerUnavailableError("the server streams no events")
            self._begun.set()
            await self._note_all(answer)

    async def _note_all(self, answer: ClientResponse) -> None:
        event = ""
        async for line in answer.content:
            name, _, value = line.decode(errors="replace").rstrip("\n").partition(": ")
            if name == "id":
                self._last_event = value
            elif name == "event":
                event = value
            elif name == "data" and event == "state":
                self._note(value)

    def _note(self, data: str) -> None:
        # What is no event of this release is nobody's end; those after it may be.
        with suppress(ValidationError):
            change = JobEvent.model_validate_json(data)
            if change.state.final:
                self._ended.append(change.id)
