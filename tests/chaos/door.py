"""A further address of a proxy, which refuses connections while it is shut."""

import asyncio
from collections.abc import Callable
from weakref import WeakSet

Accept = Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]


class Door:
    """On a free port of the loopback, the same each time it is opened."""

    def __init__(self, accept: Accept) -> None:
        self._accept = accept
        self._server: asyncio.Server | None = None
        self._port = 0
        self._inside: WeakSet[asyncio.StreamWriter] = WeakSet()

    @property
    def host(self) -> str:
        return f"127.0.0.1:{self._port}"

    async def open(self) -> None:
        self._server = await asyncio.start_server(self._enter, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    def shut(self) -> None:
        """Refuse new connections, and close the open ones."""
        if self._server:
            self._server.close()
        for writer in self._inside:
            writer.transport.abort()

    def _enter(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._inside.add(writer)
        self._accept(reader, writer)
