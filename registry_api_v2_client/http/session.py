"""One HTTP request at a time: connections, TLS, proxies, time limits, bounded answers."""

import asyncio
import ipaddress
import ssl
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field, replace

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection
from multidict import CIMultiDictProxy
from yarl import URL

from ..exceptions import ProtocolError, RegistryError
from .errors import proxy_error, translated
from .named_hosts import Address, resolve
from .proxy import Proxies
from .tls import TlsContexts, TlsSettings

_LONGEST_BODY = 8 << 20
_LONGEST_HEADER = 16 << 10
_CONNECT_SECONDS = 10.0
_USER_AGENT = "registry-push-queue"

_STRIDE = 1 << 20
"""Bytes of a long answer that count as progress. Fewer within one time-out count as none."""

PIECE = 256 << 10
"""Bytes handed to the socket at a time. Time-outs are judged between two pieces."""


@dataclass(frozen=True, slots=True)
class Pieces:
    """Bytes as a body that is sent piece by piece, and can be sent again."""

    content: bytes

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        view = memoryview(self.content)
        for start in range(0, len(view), PIECE):
            yield view[start : start + PIECE]


Body = bytes | Pieces | AsyncIterable[bytes | memoryview]
Sink = Callable[[bytes], Awaitable[None]]
"""Takes the body of a 200 piece by piece, however long it is."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, made for the registry at ``registry``, whether it goes there or elsewhere.

    A ``sink`` gets the body of a 200; the body in the answer is then empty. Where the request
    ``commits`` an upload, the answer may take longer.
    """

    method: str
    url: URL
    registry: URL
    headers: Mapping[str, str] = field(default_factory=dict)
    body: Body | None = None
    sink: Sink | None = None
    commits: bool = False

    @property
    def sends(self) -> bool:
        """Whether it may change something: all but GET and HEAD."""
        return self.method not in ("GET", "HEAD")

    @property
    def repeatable(self) -> bool:
        """Whether it can be sent a second time: a stream cannot."""
        return self.body is None or isinstance(self.body, bytes | Pieces)

    def authorized(self, header: str | None) -> "Request":
        """The same with an Authorization header, if there is one."""
        own = {"Authorization": header} if header else {}
        return replace(self, headers={**self.headers, **own})


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its (bounded) body; ``url`` is where it came from."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    url: URL


class HttpSession:
    """Sends requests, and gives the answers as they come. It acts on no redirect and no refusal.

    ``timeout`` is the seconds that may pass until the whole answer is there. The count starts with
    the request, and again with each block of a streamed body, in either direction. So an upload or
    download that moves may take as long as it needs, and an answer that drips may not. Waiting for
    a body to produce its next block does not count: the slowest of several registries sets its
    pace. The answer to a request that commits an upload may take ``commit_timeout``, as a registry
    may have to read the blob again.

    Raises:
        ValidationError: no folder of certificates, or the environment names a proxy wrongly.
    """

    def __init__(self, *, timeout: float, commit_timeout: float, tls: TlsSettings) -> None:
        self._timeout = timeout
        self._commit_timeout = max(timeout, commit_timeout)
        self._tls = TlsContexts(tls)
        self._proxies = Proxies()
        self._session = aiohttp.ClientSession(
            # Uploads are bounded where they are planned; a second bound here could dead-lock.
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(timeout, _CONNECT_SECONDS)),
            headers={"User-Agent": _USER_AGENT, "Accept-Encoding": "identity"},
            auto_decompress=False,
            request_class=_Request,
            middlewares=(_put_once,),
            cookie_jar=aiohttp.DummyCookieJar(),
            max_line_size=_LONGEST_HEADER,
            max_field_size=_LONGEST_HEADER,
            # With it, aiohttp would also take passwords for registries from ~/.netrc.
            trust_env=False,
        )

    async def send(self, request: Request) -> Answer:
        """Send one request, and read its answer.

        Raises:
            RegistryUnavailableError: no connection, or no whole answer in time.
            CredentialsError, DeniedError: the proxy on the way refuses.
            TLSError: the registry's certificate is not trusted, or ours is not by the registry.
            ProtocolError: the answer is not HTTP, or longer than any that a registry needs.
        """
        context = await self._tls.context(_host(request.url), _host(request.registry))
        answer_seconds = self._commit_timeout if request.commits else self._timeout
        stream: _WatchedBody | None = None
        try:
            with translated(request.url):
                async with asyncio.timeout(answer_seconds) as timeout:
                    silence = _Silence(timeout, self._timeout, answer_seconds)
                    if request.body is not None and not isinstance(request.body, bytes):
                        stream = _WatchedBody(request.body, silence)
                    answer = await self._exchange(request, stream, context, silence)
        except RegistryError as error:
            # aiohttp hides what the body raised behind a connection error.
            if stream and stream.failure:
                raise stream.failure from error
            raise
        if stream:
            stream.check(answer)
        return answer

    async def _exchange(
        self,
        request: Request,
        stream: "_WatchedBody | None",
        context: ssl.SSLContext | None,
        silence: "_Silence",
    ) -> Answer:
        url = request.url
        async with self._session.request(
            request.method,
            url.with_user(None) if url.user else url,
            headers=request.headers,
            data=aiter(stream) if stream else request.body,
            allow_redirects=False,
            ssl=context or True,
            proxy=self._proxies.find(url),
        ) as response:
            silence.answered()
            if response.status == 407:
                raise proxy_error(url, response.status)
            if request.sink and response.status == 200:
                content = await _pour(response, request.sink, silence.begin)
            else:
                content = await _read(response)
        return Answer(response.status, response.headers, content, url)

    async def addresses(self, url: URL) -> list[Address]:
        """The addresses that a request to ``url`` may go to; none where a proxy finds them."""
        try:
            return [ipaddress.ip_address(url.host or "")]
        except ValueError:
            return [] if self._proxies.find(url) else await resolve(url)

    async def close(self) -> None:
        await self._session.close()


async def _put_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keeps aiohttp from sending a PUT a second time by itself after the connection broke.

    The first one may still arrive, and whoever writes a tag has to know that.
    """
    try:
        return await handler(request)
    except aiohttp.ClientConnectorError:
        raise
    except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError) as error:
        if request.method != "PUT":
            raise
        raise aiohttp.ClientConnectionError from error


class _Request(aiohttp.ClientRequest):
    """A request whose body says nothing of its own when the connection breaks.

    aiohttp sends a body in a task, and asks for the task's outcome only once there is an answer.
    What fails at the very end of the body is raised in that task, and asyncio would log it as
    "never retrieved"; whoever waits for the answer hears of the connection anyway.
    """

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        with suppress(aiohttp.ClientConnectionError):
            await super().write_bytes(writer, conn, content_length)


class _Silence:
    """Moves the deadline of a request: only time in which we wait for the other side counts."""

    def __init__(self, timeout: asyncio.Timeout, seconds: float, answer_seconds: float) -> None:
        self._timeout = timeout
        self._seconds = seconds
        self._answer_seconds = answer_seconds
        self._loop = asyncio.get_running_loop()
        self._answered = False

    def begin(self) -> None:
        """We wait for the other side; each call starts the count again."""
        self._end_at(self._loop.time() + self._seconds)

    def pause(self) -> None:
        """The other side waits for us, unless it has answered before it heard everything."""
        if not self._answered:
            self._end_at(None)

    def sent(self) -> None:
        """All is sent, and we wait for the answer."""
        if not self._answered:
            self._end_at(self._loop.time() + self._answer_seconds)

    def answered(self) -> None:
        self._answered = True
        self.begin()

    def _end_at(self, moment: float | None) -> None:
        # A body may still run for a moment after its request is over.
        with suppress(RuntimeError):
            self._timeout.reschedule(moment)


class _WatchedBody:
    """Passes a body through, tells which side waits, and remembers what the body raised."""

    def __init__(self, body: AsyncIterable[bytes | memoryview], silence: _Silence) -> None:
        self._body = body
        self._silence = silence
        self.failure: Exception | None = None
        self._ended = False

    @property
    def _cut_short(self) -> bool:
        """Whether the body was not read to its end. One with a length ends without our noticing."""
        return not self._ended and not isinstance(self._body, Pieces)

    def check(self, answer: Answer) -> None:
        """Raise what the body raised, or ProtocolError for a success before the body's end."""
        if self.failure:
            raise self.failure
        if self._cut_short and answer.status < 300:
            raise ProtocolError(
                f"{_host(answer.url)} answered {answer.status} before it had read what it was sent",
                status=answer.status,
            )

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        self._silence.pause()
        try:
            async for block in self._body:
                self._silence.begin()
                yield block
                self._silence.pause()
        except Exception as error:
            self.failure = error
            raise
        self._ended = True
        self._silence.sent()


async def _read(response: aiohttp.ClientResponse) -> bytes:
    body = bytearray()
    async for block in response.content.iter_any():
        body += block
        if len(body) > _LONGEST_BODY:
            raise ProtocolError(
                f"{response.url.host_port_subcomponent} sent more than {_LONGEST_BODY} bytes",
                status=response.status,
            )
    return bytes(body)


async def _pour(
    response: aiohttp.ClientResponse, sink: Sink, on_progress: Callable[[], None]
) -> bytes:
    taken = 0
    async for piece in response.content.iter_any():
        await sink(piece)
        taken += len(piece)
        if taken >= _STRIDE:
            taken = 0
            on_progress()
    return b""


def _host(url: URL) -> str:
    return url.host_port_subcomponent or ""
