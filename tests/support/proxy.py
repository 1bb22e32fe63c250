"""A proxy in front of a registry that counts, cuts, stalls and answers by script.

    async with FaultProxy(registry_url) as proxy:
        proxy.answer(is_patch, status=429, headers={"Retry-After": "1"})
        proxy.cut(is_patch, after=60_000)
        hold = proxy.hold(is_patch, after=1000)
        push = asyncio.create_task(push_docker_tar(path, proxy.url, ...))
        await hold.reached.wait()      # deterministically in mid-push
        hold.release()
        late = proxy.detain(is_manifest_put, cut=True)
        ...                            # the client has lost the connection
        late.release()                 # and now the registry gets the request
        await late.answered.wait()

A fault strikes one request and is gone; of those that match a request, the one set first strikes.
One whose byte count the request's body does not reach stays for the next. HTTP/1.1 only, which is
what registries on plain HTTP speak.
"""

import asyncio
import socket
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from http import HTTPStatus
from urllib.parse import urlsplit

from tests.support.connection_server import ConnectionServer

PIECE = 16 * 1024
RECEIVE_BUFFER = 64 * 1024
HEAD_END = b"\r\n\r\n"
LAST_CHUNK = b"0\r\n\r\n"


@dataclass(frozen=True)
class Request:
    """The head of a request: `target` is path and query; header names are lower case."""

    method: str
    target: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        return self.target.partition("?")[0]


Predicate = Callable[[Request], bool]


def is_patch(request: Request) -> bool:
    """Blob bytes on their way, of an upload by PATCH."""
    return request.method == "PATCH"


def is_blob_put(request: Request) -> bool:
    """The end of a blob upload."""
    return request.method == "PUT" and "/blobs/uploads/" in request.path


def is_commit(request: Request) -> bool:
    """The end of an upload whose bytes are all there: of a large blob."""
    return is_blob_put(request) and request.headers.get("content-length") == "0"


def is_manifest_put(request: Request) -> bool:
    return request.method == "PUT" and "/manifests/" in request.path


def is_blob_head(request: Request) -> bool:
    return request.method == "HEAD" and "/blobs/" in request.path


@dataclass
class Hold:
    """A held request: `reached` is set once it is held, and `release()` lets it continue.

    `answered` is for one that is detained: the registry has answered it.
    """

    reached: asyncio.Event = field(default_factory=asyncio.Event)
    released: asyncio.Event = field(default_factory=asyncio.Event)
    answered: asyncio.Event = field(default_factory=asyncio.Event)

    def release(self) -> None:
        self.released.set()


@dataclass
class Fault:
    """What happens to one request. `after` counts bytes of its body."""

    matches: Predicate
    after: int = 0
    hold: Hold | None = None
    answer: bytes | None = None
    cut: bool = False
    detains: bool = False


class CutError(Exception):
    """Both connections of a request are to be dropped, as a failing network does."""


class FaultProxy(ConnectionServer):
    """Listens on a free port of the loopback and forwards to `upstream` (`http://host:port`).

    `bandwidth` bounds the bytes a second of one request's body, so that uploads take their time.

    Attributes:
        requests: heads of all requests, in order of arrival.
        body_bytes: bytes of request bodies forwarded to the registry, by path.
    """

    def __init__(self, upstream: str, *, bandwidth: int | None = None) -> None:
        super().__init__()
        parts = urlsplit(upstream)
        self._bandwidth = bandwidth
        self._upstream = (parts.hostname or "", parts.port or 80)
        self._faults: list[Fault] = []
        self.requests: list[Request] = []
        self.body_bytes: Counter[str] = Counter()

    def count(self, matches: Predicate) -> int:
        """How many requests so far match."""
        return sum(map(matches, self.requests))

    def bytes_sent(self, prefix: str = "/v2/") -> int:
        """Body bytes forwarded so far to paths with the prefix."""
        return sum(n for path, n in self.body_bytes.items() if path.startswith(prefix))

    def cut(self, matches: Predicate, *, after: int = 0, times: int = 1) -> None:
        """Drop the connection once `after` body bytes have reached the registry."""
        self._faults += [Fault(matches, after, cut=True) for _ in range(times)]

    def hold(self, matches: Predicate, *, after: int = 0) -> Hold:
        """Hold the request once `after` body bytes have reached the registry."""
        hold = Hold()
        self._faults.append(Fault(matches, after, hold=hold))
        return hold

    def detain(self, matches: Predicate, *, cut: bool = False) -> Hold:
        """Keep a whole request, and forward it when released, even if its client is gone.

        With `cut` the client loses its connection as soon as the request is here.
        """
        hold = Hold()
        self._faults.append(Fault(matches, hold=hold, cut=cut, detains=True))
        return hold

    def answer(
        self,
        matches: Predicate,
        *,
        status: int,
        headers: Mapping[str, str] | None = None,
        body: bytes = b"",
        times: int = 1,
    ) -> None:
        """Answer in the registry's place, before the body is read, and close the connection."""
        response = render_answer(status, headers or {}, body)
        self._faults += [Fault(matches, answer=response) for _ in range(times)]

    def _listen(self) -> socket.socket:
        listener = super()._listen()
        # The kernel would take megabytes from a client whose request is held.
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, RECEIVE_BUFFER)
        return listener

    def _take_fault(self, request: Request) -> Fault | None:
        for fault in self._faults:
            if fault.matches(request):
                self._faults.remove(fault)
                return fault
        return None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream: asyncio.StreamWriter | None = None
        try:
            upstream_reader, upstream = await asyncio.open_connection(*self._upstream)
            while await self._exchange(reader, writer, upstream_reader, upstream):
                pass
        except (CutError, OSError, asyncio.IncompleteReadError):
            writer.transport.abort()
            if upstream:
                # Not abort: what was forwarded so far must arrive, and the rest must be missing.
                upstream.close()
        finally:
            streams = list(filter(None, (writer, upstream)))
            for stream in streams:
                stream.close()
            for stream in streams:
                with suppress(OSError):
                    await stream.wait_closed()

    async def _exchange(
        self,
        client: asyncio.StreamReader,
        to_client: asyncio.StreamWriter,
        registry: asyncio.StreamReader,
        to_registry: asyncio.StreamWriter,
    ) -> bool:
        """One request and its response; whether the connections can be used for another."""
        head = await client.readuntil(HEAD_END)
        request = parse_request(head)
        self.requests.append(request)
        fault = self._take_fault(request)
        if fault and fault.answer is not None:
            to_client.write(fault.answer)
            await linger(client, to_client)
            return False
        if fault and fault.hold and fault.detains:
            to_registry.write(head + await detained(request, fault, fault.hold, client, to_client))
            try:
                return await forward_response(request, registry, to_client)
            finally:
                fault.hold.answered.set()
        if fault and not fault.after:
            await strike(fault)
            fault = None
        to_registry.write(head)
        # A registry may answer before it has the whole body, so both directions run at once.
        body = asyncio.create_task(self._forward_body(request, fault, client, to_registry))
        response = asyncio.create_task(forward_response(request, registry, to_client))
        try:
            await asyncio.wait({body, response}, return_when=asyncio.FIRST_COMPLETED)
            if body.done():
                body.result()
            if not await response:
                return False
            # To close now would reset the connection for a client that still sends.
            await body
            return True
        finally:
            body.cancel()
            response.cancel()
            await asyncio.gather(body, response, return_exceptions=True)

    async def _forward_body(
        self,
        request: Request,
        fault: Fault | None,
        client: asyncio.StreamReader,
        to_registry: asyncio.StreamWriter,
    ) -> None:
        async def send(data: bytes) -> None:
            to_registry.write(frame(data, request.headers))
            await to_registry.drain()
            self.body_bytes[request.path] += len(data)
            if self._bandwidth:
                await asyncio.sleep(len(data) / self._bandwidth)

        sent = 0
        async for data in read_body(request.headers, client):
            rest = data
            if fault and sent + len(data) >= fault.after:
                border = fault.after - sent
                await send(data[:border])
                await strike(fault)
                fault, rest = None, data[border:]
            await send(rest)
            sent += len(data)
        if is_chunked(request.headers):
            to_registry.write(LAST_CHUNK)
            await to_registry.drain()
        if fault:
            self._faults.insert(0, fault)


async def linger(client: asyncio.StreamReader, to_client: asyncio.StreamWriter) -> None:
    """End the connection as web servers do: closed with bytes unread, it would be reset.

    A reset can reach a client that still sends before it has read the answer.
    """
    to_client.write_eof()
    while await client.read(PIECE):
        pass


async def strike(fault: Fault) -> None:
    if fault.hold:
        fault.hold.reached.set()
        await fault.hold.released.wait()
    if fault.cut:
        raise CutError


async def detained(
    request: Request,
    fault: Fault,
    hold: Hold,
    client: asyncio.StreamReader,
    to_client: asyncio.StreamWriter,
) -> bytes:
    """The body as sent over the wire, once it is released."""
    pieces = [frame(data, request.headers) async for data in read_body(request.headers, client)]
    hold.reached.set()
    if fault.cut:
        to_client.transport.abort()
    await hold.released.wait()
    return b"".join([*pieces, LAST_CHUNK if is_chunked(request.headers) else b""])


# HTTP/1.1 framing --------------------------------------------------------------------------------


def render_answer(status: int, headers: Mapping[str, str], body: bytes = b"") -> bytes:
    """An answer after which the connection is closed."""
    fields = {"Content-Length": str(len(body)), "Connection": "close", **headers}
    lines = [f"HTTP/1.1 {status} {HTTPStatus(status).phrase}"]
    lines += [f"{name}: {value}" for name, value in fields.items()]
    return "\r\n".join([*lines, "", ""]).encode() + body


def parse_headers(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition(":") for line in lines if line)
    return {name.strip().lower(): value.strip() for name, _, value in pairs}


def parse_request(head: bytes) -> Request:
    first, *lines = head.decode("latin-1").split("\r\n")
    method, target, _ = first.split(" ", 2)
    return Request(method, target, parse_headers(lines))


def is_chunked(headers: Mapping[str, str]) -> bool:
    return headers.get("transfer-encoding", "").lower() == "chunked"


def frame(data: bytes, headers: Mapping[str, str]) -> bytes:
    """Body bytes as they go over the wire; an empty chunk would end a chunked body."""
    return b"%x\r\n%s\r\n" % (len(data), data) if data and is_chunked(headers) else data


async def read_body(
    headers: Mapping[str, str], reader: asyncio.StreamReader
) -> AsyncIterator[bytes]:
    """The body in pieces of up to 16 KiB, without framing."""
    if not is_chunked(headers):
        async for data in read_exactly(reader, int(headers.get("content-length", 0))):
            yield data
        return
    while size := int((await reader.readuntil(b"\r\n")).partition(b";")[0], 16):
        async for data in read_exactly(reader, size):
            yield data
        await reader.readexactly(2)
    while await reader.readuntil(b"\r\n") != b"\r\n":
        pass  # trailers


async def read_exactly(reader: asyncio.StreamReader, size: int) -> AsyncIterator[bytes]:
    while size:
        data = await reader.read(min(size, PIECE))
        if not data:
            raise asyncio.IncompleteReadError(b"", size)
        yield data
        size -= len(data)


async def forward_response(
    request: Request, registry: asyncio.StreamReader, to_client: asyncio.StreamWriter
) -> bool:
    """Pass one response on; whether the connection stays open after it."""
    head = await registry.readuntil(HEAD_END)
    to_client.write(head)
    first, *lines = head.decode("latin-1").split("\r\n")
    status = int(first.split(" ")[1])
    if status < 200:
        return await forward_response(request, registry, to_client)
    headers = parse_headers(lines)
    if request.method != "HEAD" and status not in {204, 304}:
        async for data in read_body(headers, registry):
            to_client.write(frame(data, headers))
            await to_client.drain()
        if is_chunked(headers):
            to_client.write(LAST_CHUNK)
    await to_client.drain()
    return headers.get("connection", "").lower() != "close"
