"""A server that takes connections and says nothing, as a registry does whose backend hangs."""

import asyncio

from tests.support.connection_server import ConnectionServer


class SilentServer(ConnectionServer):
    """Listens on a free port of the loopback; `connections` counts those it has taken."""

    def __init__(self) -> None:
        super().__init__()
        self.connections = 0

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await asyncio.Event().wait()
