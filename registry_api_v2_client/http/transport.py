"""HTTP to registries: one aiohttp session, through which every request goes."""

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

import aiohttp
from multidict import CIMultiDictProxy
from yarl import URL

from ..exceptions import CredentialsError, ProtocolError, RegistryError, TokenExpiredError
from .auth import Authenticator
from .credentials import CredentialStore
from .errors import error_of, translated

_LONGEST_BODY = 8 << 20
_CONNECT_SECONDS = 10.0
_USER_AGENT = "registry-push-queue"

Body = bytes | AsyncIterable[bytes | memoryview]


@dataclass(frozen=True, slots=True)
class Answer:
    """A response with its (bounded) body; ``url`` is where it came from, after redirects."""

    status: int
    headers: CIMultiDictProxy[str]
    body: bytes
    url: URL


class Transport:
    """Sends requests, with authorization, and judges the answers.

    ``timeout`` is the seconds without any progress (connecting, a block sent, an answer) after
    which a request fails; an upload that moves may take as long as it needs.
    """

    def __init__(
        self, credentials: CredentialStore | None = None, *, timeout: float = 60.0
    ) -> None:
        self._timeout = timeout
        self._session = aiohttp.ClientSession(
            # Uploads are bounded where they are planned; a second bound here could only dead-lock.
            connector=aiohttp.TCPConnector(limit=0),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=min(timeout, _CONNECT_SECONDS)),
            headers={"User-Agent": _USER_AGENT},
            auto_decompress=False,
            trust_env=True,
        )
        self._auth = Authenticator(credentials or CredentialStore(), self._get_token)

    async def request(
        self,
        method: str,
        url: URL,
        *,
        registry: URL,
        scope: str,
        what: str,
        ok: Collection[int],
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
    ) -> Answer:
        """Send one request and return the answer if its status is in ``ok``.

        ``registry`` is the registry's own URL: only requests to it carry authorization, not those
        to a storage host that it points at. ``what`` names the operation in errors. A streamed
        body cannot be sent twice: where the registry asks for new authorization in the middle of
        one, TokenExpiredError tells the caller to start over.

        Raises:
            RegistryError: the class says why, see ``exceptions``.
        """
        host = registry.host_port_subcomponent or ""
        ours = url.origin() == registry.origin()
        for last in (False, True):
            authorization = self._auth.header(host, scope) if ours else None
            answer = await self._send(method, url, headers or {}, authorization, body)
            if answer.status in ok:
                return answer
            if answer.status == 401 and ours and not last:
                challenge = ", ".join(answer.headers.getall("WWW-Authenticate", ()))
                if await self._auth.answer(host, scope, url, challenge, authorization):
                    if body is None or isinstance(body, bytes):
                        continue
                    raise TokenExpiredError(f"{host}: {what}: the token expired", status=401)
            break
        raise error_of(f"{host}: {what}", answer.status, answer.headers, answer.body)

    async def close(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, _: TracebackType | None
    ) -> None:
        await self.close()

    async def _send(
        self,
        method: str,
        url: URL,
        headers: Mapping[str, str],
        authorization: str | None,
        body: Body | None,
    ) -> Answer:
        all_headers = dict(headers)
        if authorization:
            all_headers["Authorization"] = authorization
        stream = None
        loop = asyncio.get_running_loop()
        try:
            with translated(url):
                async with asyncio.timeout(self._timeout) as idle:
                    if body is not None and not isinstance(body, bytes):
                        stream = _WatchedBody(
                            body, lambda: idle.reschedule(loop.time() + self._timeout)
                        )
                    async with self._session.request(
                        method,
                        url,
                        headers=all_headers,
                        data=aiter(stream) if stream else body,
                        allow_redirects=method in ("GET", "HEAD"),
                    ) as response:
                        content = await _read(response)
        except RegistryError as error:
            # aiohttp hides what the body raised behind a connection error.
            if stream and stream.failure:
                raise stream.failure from error
            raise
        if stream and stream.failure:
            raise stream.failure
        return Answer(response.status, response.headers, content, response.url)

    async def _get_token(self, url: URL, headers: Mapping[str, str]) -> bytes:
        answer = await self._send("GET", url, headers, None, None)
        if answer.status == 200:
            return answer.body
        host = url.host_port_subcomponent
        error = error_of(f"token server {host}", answer.status, answer.headers, answer.body)
        if error.retryable:
            raise error
        raise CredentialsError(str(error)) from error


class _WatchedBody:
    """Passes a body through, tells each block sent, and remembers what the body raised."""

    def __init__(
        self, body: AsyncIterable[bytes | memoryview], on_block: Callable[[], None]
    ) -> None:
        self._body = body
        self._on_block = on_block
        self.failure: Exception | None = None

    async def __aiter__(self) -> AsyncIterator[bytes | memoryview]:
        try:
            async for block in self._body:
                yield block
                self._on_block()
        except Exception as error:
            self.failure = error
            raise


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
