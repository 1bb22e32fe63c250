"""Server-sent events, as the WHATWG's HTML standard has them."""

from aiohttp import web
from pydantic import BaseModel

from push_queue.jobs.events import Position

MEDIA_TYPE = "text/event-stream"
RETRY_MS = 2000
"""How soon a browser reconnects after the stream breaks off."""
NOTHING = b":\n\n"
"""A comment, which shows each side that the other is alive."""


class EventStream(web.StreamResponse):
    """A streamed answer.

    Writing raises ``ConnectionError`` once nobody reads, and waits for one who reads slowly.
    """

    def __init__(self) -> None:
        super().__init__(headers={"Content-Type": MEDIA_TYPE, "X-Accel-Buffering": "no"})

    async def begin(self, request: web.Request) -> None:
        """Send the head, and how soon to reconnect."""
        await self.prepare(request)
        await self.write(b"retry: %d\n\n" % RETRY_MS)


def message(event: str, data: BaseModel, position: Position | None = None) -> bytes:
    """One event; who breaks off after it goes on from its position, or from the last one."""
    place = f"id: {position}\n" if position else ""
    return f"{place}event: {event}\ndata: {data.model_dump_json()}\n\n".encode()
