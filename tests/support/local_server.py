"""Serve an aiohttp application on a free port of the loopback for the length of a block."""

import ssl
from typing import Self

from aiohttp import web


class LocalServer:
    """Base of the test servers; `url` is known once the block is entered."""

    url = ""

    def __init__(self, runner: web.BaseRunner, tls: ssl.SSLContext | None = None) -> None:
        self._runner = runner
        self._tls = tls

    @property
    def host(self) -> str:
        return self.url.partition("://")[2]

    async def __aenter__(self) -> Self:
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0, ssl_context=self._tls).start()
        host, port = self._runner.addresses[0][:2]
        self.url = f"{'https' if self._tls else 'http'}://{host}:{port}"
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._runner.cleanup()
