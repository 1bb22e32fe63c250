"""Requests to a server of the HTTP API, and what its answers mean."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Any, Self, TypeVar
from urllib.parse import quote

from aiohttp import (
    ClientConnectorCertificateError,
    ClientConnectorSSLError,
    ClientError,
    ClientResponse,
    ClientSession,
    ClientTimeout,
)
from pydantic import BaseModel, ValidationError
from yarl import URL

from producer.errors import ServerRefusedError, ServerUnavailableError
from push_queue.errors import (
    InvalidJobError,
    JobConflictError,
    SourceGoneError,
    UnknownJobError,
    summarize,
)
from push_queue.settings.server_url import check_server_url
from push_queue.version import own_version
from registry_api_v2_client.http.errors import reason_of

Model = TypeVar("Model", bound=BaseModel)

FIRST_SECONDS = 3.0
"""How long to retry a server that has not answered yet: its URL may be wrong."""
RIDE_OUT_SECONDS = 120.0
"""How long to retry one that has answered before: its machine may start again."""
CONNECT_SECONDS = 10.0
ANSWER_SECONDS = 330.0
"""Longer than any wait that is asked for."""

_FIRST_PAUSE_SECONDS = 0.2
_LONGEST_PAUSE_SECONDS = 5.0
_PROBLEM = "urn:push-queue:problem:"

AWAY = frozenset(
    {
        HTTPStatus.REQUEST_TIMEOUT,
        HTTPStatus.TOO_MANY_REQUESTS,
        HTTPStatus.BAD_GATEWAY,
        HTTPStatus.SERVICE_UNAVAILABLE,
        HTTPStatus.GATEWAY_TIMEOUT,
        HTTPStatus.INSUFFICIENT_STORAGE,
    }
)
"""Answers after which the same request may succeed."""

_ERRORS: Mapping[str, Callable[[str], Exception]] = {
    "job-conflict": JobConflictError,
    "unreadable-job": JobConflictError,
    "source-gone": SourceGoneError,
    "invalid-request": InvalidJobError,
    "invalid-archive": InvalidJobError,
}


class Requests:
    """Sends requests to the API of one server."""

    def __init__(self, session: ClientSession, base: URL) -> None:
        self.session = session
        self._base = base
        self.server = str(base)
        self._answered = False

    @classmethod
    @asynccontextmanager
    async def to(cls, server: str, token: str | None) -> AsyncIterator[Self]:
        """Requests to the server at this URL, with the token.

        Raises:
            ServerRefusedError: it is no URL of a server.
        """
        headers = {"User-Agent": f"push-queue/{own_version()}"}
        if token:
            headers["Authorization"] = f"Bearer {token}"
        timeout = ClientTimeout(total=None, sock_connect=CONNECT_SECONDS, sock_read=ANSWER_SECONDS)
        async with ClientSession(headers=headers, timeout=timeout, trust_env=True) as session:
            yield cls(session, _base_of(server))

    def url(self, path: str) -> URL:
        """Of a path below ``/api/v1/``, whose parts are encoded."""
        return self._base.joinpath("api/v1", path, encoded=True)

    async def ask(self, method: str, path: str, *, riding: bool = True, **options: Any) -> Any:
        """The body of the answer; None if it has none.

        With ``riding``, a server that is down is asked again for a while, so the request must be
        safe to repeat.

        Raises:
            ServerUnavailableError: it stays away.
            ServerRefusedError, QueueError: it does not do what is asked.
        """
        return await self._ask(method, self.url(path), riding=riding, **options)

    async def ask_for(self, model: type[Model], method: str, path: str, **options: Any) -> Model:
        """What ``ask`` returns, as this model; raises as it and ``parsed`` do."""
        return self.parsed(model, await self.ask(method, path, **options))

    async def check_ready(self) -> None:
        """Whether the server can work.

        Raises:
            ServerUnavailableError: it cannot, and says why.
            ServerRefusedError: it does not say that.
        """
        await self._ask("GET", self._base.joinpath("readyz"), riding=False)

    async def _ask(self, method: str, url: URL, *, riding: bool, **options: Any) -> Any:
        seconds = RIDE_OUT_SECONDS if self._answered else FIRST_SECONDS
        patience = Patience(seconds if riding else 0)
        while True:
            try:
                async with self.session.request(
                    method, url, allow_redirects=False, **options
                ) as answer:
                    self._answered = True
                    return await read(answer)
            except (ClientError, TimeoutError, ServerUnavailableError) as error:
                await patience.wait(self.unavailable(error))

    def parsed(self, model: type[Model], answer: Any) -> Model:
        """The answer as this model.

        Raises:
            ServerRefusedError: it is something else.
        """
        try:
            return model.model_validate(answer)
        except ValidationError as error:
            raise ServerRefusedError(
                f"{self.server} answers what push-queue {own_version()} does not understand "
                f"({summarize(error)}); see whether a server of that release runs there",
                "answer",
            ) from None

    def unavailable(self, error: Exception) -> ServerUnavailableError:
        """The error, which names the server."""
        if isinstance(error, ServerUnavailableError):
            return error
        late = isinstance(error, TimeoutError)
        advice = "see whether it runs there (--server or PUSH_QUEUE_SERVER)"
        if isinstance(error, ClientConnectorSSLError):
            advice = "begin its URL with http:// if it speaks no TLS"
        if isinstance(error, ClientConnectorCertificateError):
            advice = (
                "have this machine trust its authority, or name that one's file in SSL_CERT_FILE"
            )
        return ServerUnavailableError(
            f"cannot reach {self.server}: {'no answer in time' if late else reason_of(error)}; "
            f"{advice}"
        )


class Patience:
    """How long to wait for a server that is down."""

    def __init__(self, seconds: float) -> None:
        self._seconds = seconds
        self.renew()

    def renew(self) -> None:
        """It has done something."""
        self._pause = _FIRST_PAUSE_SECONDS
        self._end = asyncio.get_running_loop().time() + self._seconds

    async def wait(self, error: Exception) -> None:
        """Wait before the next try; each wait is longer.

        Raises:
            Exception: the error, when it has been away for too long.
        """
        left = self._end - asyncio.get_running_loop().time()
        if left <= 0:
            raise error from None
        await asyncio.sleep(min(self._pause, left))
        self._pause = min(2 * self._pause, _LONGEST_PAUSE_SECONDS)


async def read(answer: ClientResponse) -> Any:
    """The body of an answer that is none of an error.

    Raises:
        ServerUnavailableError: the server says that it may help to ask again.
        ServerRefusedError, QueueError: it refuses.
    """
    text = await answer.text(errors="replace")
    body = _json(text)
    if answer.status < HTTPStatus.MULTIPLE_CHOICES:
        if text and body is None:
            raise _refusal("", f"its answer of {answer.content_type} is not JSON", answer)
        return body
    problem = body if isinstance(body, dict) else {}
    status = f"{answer.status} {answer.reason}"
    detail = str(problem.get("detail") or "")
    if answer.status in AWAY:
        origin = answer.url.origin()
        raise ServerUnavailableError(
            detail or f"{origin} answers {status}; see what is wrong there"
        )
    kind = str(problem.get("type", "")).removeprefix(_PROBLEM)
    raise _refusal(kind, detail or status, answer)


def path_part(name: str) -> str:
    """The name as one part of a path, whatever is in it."""
    return quote(name, safe="")


def _refusal(kind: str, detail: str, answer: ClientResponse) -> Exception:
    """What a problem of this kind means."""
    if kind == "unknown-job":
        return UnknownJobError(answer.url.path.partition("/jobs/")[2].partition("/")[0])
    if kind in _ERRORS:
        return _ERRORS[kind](detail)
    if not kind:
        detail = f"{answer.url.origin()} is no server of a push queue ({detail})"
    return ServerRefusedError(detail, kind)


def _json(text: str) -> Any:
    try:
        return json.loads(text) if text else None
    except ValueError:
        return None


def _base_of(server: str) -> URL:
    try:
        return URL(check_server_url(server))
    except ValueError as error:
        raise ServerRefusedError(str(error), "url") from None
