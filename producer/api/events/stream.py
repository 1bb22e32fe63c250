"""Server-sent events, as the WHATWG's HTML standard has them."""

import asyncio

from aiohttp import web
from pydantic import BaseModel

from push_queue.jobs.events import Position

MEDIA_TYPE = "text/event-stream"
RETRY_MS = 2000
"""How soon a browser reconnects after the stream breaks off."""
TAKE_SECONDS = 30.0
"""How long a reader may take nothing before it is cut off."""
NOTHING = b":\n\n"
"""A comment, which shows each side that the other is alive."""


class EventStream(web.StreamResponse):
    """A streamed answer.

    Writing raises ``ConnectionError`` once nobody reads, and waits for one who reads slowly.
    """

    def __init__(self) -> None:
        super().__init__(headers={"Content-Type": MEDIA_TYPE, "X-Accel-Buffering": "no"})
        self._transport: asyncio.Transport | None = None

    async def begin(self, request: web.Request) -> None:
        """Send the head, and how soon to reconnect."""
        self._transport = request.transport
        await self.prepare(request)
        await self.send(b"retry: %d\n\n" % RETRY_MS)

    async def send(self, messages: bytes) -> None:
        """Send them, in the time that a reader has."""
        try:
            async with asyncio.timeout(TAKE_SECONDS):
                await self.write(messages)
        except TimeoutError:
            if self._transport:
                self._transport.abort()
            raise ConnectionAbortedError("the reader takes nothing") from None


def message(event: str, data: BaseModel, position: Position | None = None) -> bytes:
    """One event; who breaks off after it goes on from its position, or from the last one."""
    place = f"id: {position}\n" if position else ""
    return f"{place}event: {event}\ndata: {data.model_dump_json()}\n\n".encode()
