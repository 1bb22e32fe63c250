"""One HTTP request at a time: connections, TLS, proxies, time limits, bounded answers."""

import asyncio
import ipaddress
import ssl
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter

import aiohttp
from aiohttp.abc import AbstractStreamWriter
from aiohttp.connector import Connection
from yarl import URL

from ..exceptions import ProtocolError, RegistryError, ValidationError
from ..observer import NOBODY, EndedRequest, Observer
from .deadline import Deadline, WatchedBody
from .errors import proxy_error, translated
from .messages import Answer, Request, Sink
from .named_hosts import Address, resolve
from .proxy import Proxies
from .tls import TlsContexts, TlsSettings

_LONGEST_BODY = 8 << 20
_LONGEST_HEADER = 16 << 10
_CONNECT_SECONDS = 10.0
_USER_AGENT = "registry-push-queue"

_STRIDE = 1 << 20
"""An answer makes progress if at least this many bytes arrive within one time-out."""


class HttpSession:
    """Sends requests and returns the answers. Redirects and refusals are left to the caller.

    ``timeout`` is the seconds from the start of a request to the end of its answer. Each block of a
    streamed body, in either direction, starts it again. So an upload or download that makes
    progress may take as long as it needs, and an answer that only drips may not. Waiting for a body
    to produce its next block does not count, because the slowest of several registries sets its
    pace. The answer to a request that commits an upload may take ``commit_timeout``, as a registry
    may have to read the blob again.

    Raises:
        ValidationError: no such folder of certificates, or the environment names a bad proxy.
    """

    def __init__(
        self,
        *,
        timeout: float,
        commit_timeout: float,
        tls: TlsSettings,
        observer: Observer = NOBODY,
    ) -> None:
        self._observer = observer
        self._timeout = timeout
        self._commit_timeout = max(timeout, commit_timeout)
        self._tls = TlsContexts(tls)
        self._name_of = tls.name_of
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

    def check_open(self) -> None:
        """Raises ValidationError if it is closed."""
        if self._session.closed:
            raise ValidationError("the client is closed; use it before that, or make a new one")

    async def send(self, request: Request) -> Answer:
        """Send one request, and read its answer.

        Raises:
            ValidationError: this is closed.
            RegistryUnavailableError: no connection, or no whole answer in time.
            ProxyError: the proxy on the way refuses.
            TLSError: the registry's certificate is not trusted, or the registry does not trust
                ours.
            ProtocolError: the answer is not HTTP, or is too long.
        """
        self.check_open()
        began = perf_counter()
        try:
            answer = await self._send(request)
        except RegistryError:
            self._tell(request, None, began)
            raise
        self._tell(request, answer.status, began)
        return answer

    def _tell(self, request: Request, status: int | None, began: float) -> None:
        seconds = perf_counter() - began
        self._observer.request_ended(
            EndedRequest(request.method, request.url, request.registry, status, seconds)
        )

    async def _send(self, request: Request) -> Answer:
        context = await self._tls.context(_host(request.url), _host(request.registry))
        answer_seconds = self._commit_timeout if request.commits else self._timeout
        stream: WatchedBody | None = None
        try:
            with translated(request.url, self._name_of):
                async with asyncio.timeout(answer_seconds) as timeout:
                    deadline = Deadline(timeout, self._timeout, answer_seconds)
                    if request.body is not None and not isinstance(request.body, bytes):
                        stream = WatchedBody(request.body, deadline)
                    answer = await self._exchange(request, stream, context, deadline)
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
        stream: WatchedBody | None,
        context: ssl.SSLContext | None,
        deadline: Deadline,
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
            deadline.answered()
            if response.status == 407:
                raise proxy_error(url, response.status)
            if request.sink and response.status == 200:
                content = await _pour(response, request.sink, deadline.begin)
            else:
                content = await _read(response)
        return Answer(response.status, response.headers, content, url)

    async def addresses(self, url: URL) -> list[Address]:
        """The addresses that a request to ``url`` may go to; empty where a proxy resolves names."""
        try:
            return [ipaddress.ip_address(url.host or "")]
        except ValueError:
            return [] if self._proxies.find(url) else await resolve(url)

    async def close(self) -> None:
        await self._session.close()


async def _put_once(
    request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
) -> aiohttp.ClientResponse:
    """Keeps aiohttp from repeating a PUT by itself after the connection broke.

    The first one may still arrive, which a writer of tags has to know.
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
    """A request whose body raises no error of its own when the connection breaks.

    aiohttp sends a body in a task, and asks for the task's outcome only once there is an answer.
    What fails at the very end of the body is raised in that task, and asyncio would log it as
    "never retrieved"; the caller gets the connection's error anyway.
    """

    async def write_bytes(
        self, writer: AbstractStreamWriter, conn: Connection, content_length: int | None = None
    ) -> None:
        with suppress(aiohttp.ClientConnectionError):
            await super().write_bytes(writer, conn, content_length)


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
