"""A proxy that passes bytes on, whatever they mean, and cuts connections off.

async with CuttingProxy("127.0.0.1:5000") as proxy:
    proxy.cut(after=1000)      # the first connection on which so many bytes come back is lost then
    client(proxy.host)
    assert not proxy.cuts
"""

import asyncio
import socket
from contextlib import suppress

from tests.support.connection_server import ConnectionServer

_PIECE = 256 << 10


class CuttingProxy(ConnectionServer):
    """Listens on a free port of `address`.

    Attributes:
        received: bytes that came back, of all connections.
        cuts: those that have not been made yet.
    """

    def __init__(self, upstream: str, *, address: str = "127.0.0.1") -> None:
        super().__init__()
        self._upstream = upstream
        self._address = address
        self.received = 0
        self.cuts: list[int] = []

    def cut(self, *, after: int) -> None:
        self.cuts.append(after)

    def _listen(self) -> socket.socket:
        return socket.create_server((self._address, 0))

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        host, _, port = self._upstream.rpartition(":")
        upstream, to_upstream = await asyncio.open_connection(host, int(port), limit=_PIECE)
        forth = asyncio.create_task(_pump(reader, to_upstream))
        try:
            await self._back(upstream, writer)
        finally:
            forth.cancel()
            to_upstream.close()
            writer.close()

    async def _back(self, upstream: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        came = 0
        with suppress(OSError):
            while data := await upstream.read(_PIECE):
                came += len(data)
                self.received += len(data)
                writer.write(data)
                await writer.drain()
                for after in self.cuts:
                    if came >= after:
                        self.cuts.remove(after)
                        return


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(_PIECE):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
