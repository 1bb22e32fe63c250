"""A server of plain connections on a free port, for the length of a block."""

import asyncio
import socket
from typing import Self


class ConnectionServer:
    """Base of test servers that are not aiohttp applications; `host` is known in the block."""

    def __init__(self) -> None:
        self._connections: set[asyncio.Task[None]] = set()
        self._server: asyncio.Server | None = None
        self.host = ""

    @property
    def url(self) -> str:
        return f"http://{self.host}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Serve one connection; it is dropped after that."""
        raise NotImplementedError

    def _listen(self) -> socket.socket:
        return socket.create_server(("127.0.0.1", 0))

    async def __aenter__(self) -> Self:
        listener = self._listen()
        self._server = await asyncio.start_server(self._accept, sock=listener)
        address, port = listener.getsockname()
        self.host = f"{address}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._server:
            self._server.close()
        for connection in self._connections:
            connection.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._server is None or not self._server.is_serving():
            writer.transport.abort()
            return
        # A task of our own: asyncio's complains about one that is cancelled.
        connection = asyncio.create_task(self._serve(reader, writer))
        self._connections.add(connection)
        connection.add_done_callback(self._connections.discard)
        # One that is cancelled before its first step closes nothing itself.
        connection.add_done_callback(lambda _: writer.transport.abort())
