"""A server that answers with bytes, whether they are HTTP or not, and need not come to an end.

async def drip():
    while True:
        yield b"x"

async with RawServer(drip) as server:
    ...
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import suppress

from tests.support.connection_server import ConnectionServer
from tests.support.proxy import HEAD_END


class RawServer(ConnectionServer):
    """Listens on a free port of the loopback; `answer()` is sent to each connection's request.

    Attributes:
        requests: the heads of the requests that came.
    """

    def __init__(self, answer: Callable[[], AsyncIterator[bytes]]) -> None:
        super().__init__()
        self._answer = answer
        self.requests: list[str] = []

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            self.requests.append((await reader.readuntil(HEAD_END)).decode())
            async for piece in self._answer():
                writer.write(piece)
                await writer.drain()
