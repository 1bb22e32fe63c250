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
from types import TracebackType
from typing import Self

from tests.support.proxy import HEAD_END


class RawServer:
    """Listens on a free port of the loopback; `answer()` is sent to each connection's request.

    Attributes:
        requests: the heads of the requests that came.
    """

    def __init__(self, answer: Callable[[], AsyncIterator[bytes]]) -> None:
        self._answer = answer
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.host = ""
        self.requests: list[str] = []

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._accept, "127.0.0.1", 0)
        self.host = f"127.0.0.1:{self._server.sockets[0].getsockname()[1]}"
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if self._server:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        connection.add_done_callback(lambda _: writer.transport.abort())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            self.requests.append((await reader.readuntil(HEAD_END)).decode())
            async for piece in self._answer():
                writer.write(piece)
                await writer.drain()
