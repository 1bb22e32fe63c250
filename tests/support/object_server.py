"""A server of one object, such as an artifact server has: by ranges, with an ETag, and with faults.

async with ObjectServer(path) as server:
    server.cut(after=1000)          # the next answer with so many bytes breaks off there
    server.replace(b"...")          # the object is another from now on
    server.ranges = False           # 200 to every request
    server.url_of_object            # http://127.0.0.1:1234/builds/app.tar
"""

import asyncio
import hashlib
import os
import re
import ssl
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from aiohttp import web

from tests.support.local_server import LocalServer

PATH = "/builds/app.tar"
_PIECE = 256 << 10
_RANGE = re.compile(r"bytes=(\d+)-(\d*)")


@dataclass
class Stand:
    """An answer that stands still after some bytes."""

    after: int
    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)


class ObjectServer(LocalServer):
    """Serves a file at every path.

    Attributes:
        requests: what came.
        sent: bytes of bodies that were sent.
        ranges: whether it answers ranges with 206.
        tell: changes Content-Range: what is told of a right answer.
        answer: answers in place of the server if it returns something.
        chunked: send no length.
        heeds_conditions: whether If-Match and If-Unmodified-Since are heard.
        validators: the headers that tell versions apart.
        endless: send on after the object's end.
    """

    def __init__(self, path: Path, *, tls: ssl.SSLContext | None = None) -> None:
        self._file = path.open("rb")
        self.version = hashlib.sha256(str(path).encode()).hexdigest()[:16]
        self.modified = "Sat, 28 Nov 2026 12:00:00 GMT"
        self.requests: list[web.BaseRequest] = []
        self.sent = 0
        self.ranges = True
        self.chunked = self.endless = False
        self.heeds_conditions = True
        self.validators: tuple[str, ...] = ("ETag", "Last-Modified")
        self.tell: Callable[[str], str] = lambda said: said
        self.answer: Callable[[web.BaseRequest], web.StreamResponse | None] = lambda _: None
        self._cuts: list[int] = []
        self._stands: list[Stand] = []
        super().__init__(web.ServerRunner(web.Server(self._answer), shutdown_timeout=0), tls)

    async def __aexit__(self, *raised: Any) -> None:
        await super().__aexit__(*raised)
        self._file.close()

    @property
    def url_of_object(self) -> str:
        return f"{self.url}{PATH}"

    @property
    def asked(self) -> list[str | None]:
        """The ranges that were asked for."""
        return [request.headers.get("Range") for request in self.requests]

    def cut(self, *, after: int) -> None:
        """Break off the next answer that has more bytes."""
        self._cuts.append(after)

    def hold(self, *, after: int) -> Stand:
        """Have the next answer that has more bytes stand still."""
        stand = Stand(after)
        self._stands.append(stand)
        return stand

    def replace(self, path: Path) -> None:
        self._file.close()
        self._file = path.open("rb")
        self.version = f"{self.version}-again"
        self.modified = "Sat, 28 Nov 2026 13:00:00 GMT"

    async def _answer(self, request: web.BaseRequest) -> web.StreamResponse:
        self.requests.append(request)
        if response := self.answer(request):
            return response
        size = os.fstat(self._file.fileno()).st_size
        headers = {"ETag": f'"{self.version}"', "Last-Modified": self.modified}
        headers = {name: headers[name] for name in self.validators}
        wanted = request.headers.get("If-Match", headers.get("ETag"))
        if wanted != headers.get("ETag") and self.heeds_conditions:
            return web.Response(status=412)
        asked = _RANGE.fullmatch(request.headers.get("Range", ""))
        if not (asked and self.ranges):
            return await self._send(request, 200, headers, 0, size)
        start, stop = int(asked[1]), min(int(asked[2] or size) + 1, size)
        if start >= size:
            return web.Response(status=416, headers={"Content-Range": f"bytes */{size}"})
        headers["Content-Range"] = self.tell(f"bytes {start}-{stop - 1}/{size}")
        return await self._send(request, 206, headers, start, stop)

    async def _send(
        self, request: web.BaseRequest, status: int, headers: dict[str, str], start: int, stop: int
    ) -> web.StreamResponse:
        response = web.StreamResponse(status=status, headers=headers)
        if self.chunked or self.endless:
            response.enable_chunked_encoding()
        else:
            response.content_length = stop - start
        cut = next((one for one in self._cuts if one < stop - start), None)
        stand = next((one for one in self._stands if one.after < stop - start), None)
        with suppress(ConnectionError):
            await response.prepare(request)
            for at in range(start, stop, _PIECE):
                piece = os.pread(self._file.fileno(), min(_PIECE, stop - at), at)
                # Of several answers at once, one.
                if stand and stand in self._stands and at + len(piece) - start > stand.after:
                    self._stands.remove(stand)
                    stand.reached.set()
                    await stand.released.wait()
                    stand = None
                if cut is not None and cut in self._cuts and at + len(piece) - start > cut:
                    self._cuts.remove(cut)
                    await response.write(piece[: cut - (at - start)])
                    self.sent += cut - (at - start)
                    assert request.transport
                    # What was written arrives; then the connection is gone.
                    request.transport.close()
                    return response
                await response.write(piece)
                self.sent += len(piece)
            while self.endless:
                await response.write(bytes(_PIECE))
                self.sent += _PIECE
            await response.write_eof()
        return response
