"""An HTTP proxy that opens tunnels (CONNECT), as companies put before the internet.

    async with ConnectProxy({"registry.test": "127.0.0.1"}) as proxy:
        worker(HTTPS_PROXY=proxy.url)

Source: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6
"""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from tests.support.connection_server import ConnectionServer
from tests.support.logins import Login
from tests.support.proxy import HEAD_END, PIECE, parse_request


class ConnectProxy(ConnectionServer):
    """Listens on a free port of the loopback.

    Args:
        addresses: the addresses of names that only this proxy knows.
        login: who may use it; by default everybody.

    Attributes:
        tunnels: `host:port` of each tunnel that was asked for, in order.
    """

    def __init__(self, addresses: Mapping[str, str], *, login: Login | None = None) -> None:
        super().__init__()
        self._addresses = addresses
        self._login = login
        self.tunnels: list[str] = []

    @property
    def url(self) -> str:
        """Its address, with the login."""
        who = f"{self._login.username}:{self._login.password}@" if self._login else ""
        return f"http://{who}{self.host}"

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError, asyncio.IncompleteReadError):
            request = parse_request(await reader.readuntil(HEAD_END))
            self.tunnels.append(request.target)
            if self._login and request.headers.get("proxy-authorization") != self._login.basic:
                writer.write(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")
                await writer.drain()
                return
            name, _, port = request.target.rpartition(":")
            upstream, to_upstream = await asyncio.open_connection(
                self._addresses.get(name, name), int(port)
            )
            try:
                writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
                async with asyncio.TaskGroup() as both:
                    both.create_task(pump(reader, to_upstream))
                    both.create_task(pump(upstream, writer))
            finally:
                to_upstream.close()


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(PIECE):
            writer.write(data)
            await writer.drain()
        writer.write_eof()
