"""The connections of the server: how many there are, and how long they may keep it waiting.

Anybody can open a connection, so one that brings no request is cut off, and so is one that does not
take its answer, which is in memory until then. The one that has been quiet for longest makes room
for a new one. One is quiet that has no request of a known caller under way.
"""

import asyncio
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from aiohttp import web
from aiohttp.http_exceptions import LineTooLong
from aiohttp.typedefs import Handler

from producer.api.problem_types import ProblemType
from producer.api.problems import internal_error, of_aiohttp, problem_answer

_NOT_HTTP = "this is no request that can be read; look at its request line, headers and line ends"
_TOO_LONG = "the request line or a header is too long; it may have 8190 bytes"


@dataclass(slots=True)
class ConnectionLimits:
    """What connections may take."""

    most: int = 1000
    """How many may be open at once: those of all streams, uploads and waits, and some more."""
    head_seconds: float = 15.0
    """From the first byte of a head to its last, and from the opening of a connection on."""
    take_seconds: float = 30.0
    """How long a reader may take nothing of an answer."""


class Connections:
    """Makes the protocol of each connection, and knows which are quiet.

    ``options`` are those of :class:`aiohttp.web.RequestHandler`.
    """

    def __init__(self, server: web.Server, limits: ConnectionLimits, **options: Any) -> None:
        self.limits = limits
        self._server = server
        self._options = options
        self._open = 0
        self._quiet: dict[Connection, None] = {}

    def __call__(self) -> "Connection":
        loop = asyncio.get_running_loop()
        return Connection(self, self._server, loop=loop, **self._options)

    def opened(self, connection: "Connection") -> None:
        """Count it, and close one that is too many: a quiet one if there is any."""
        self._open += 1
        self.note_quiet(connection)
        if self._open > self.limits.most:
            longest_quiet = next(iter(self._quiet))
            self.note_busy(longest_quiet)
            if longest_quiet is connection:
                connection.give_up(
                    ProblemType.TOO_MANY_CONNECTIONS,
                    f"{self.limits.most} connections are open; come again later",
                )
            else:
                longest_quiet.force_close()

    def closed(self, connection: "Connection") -> None:
        self._open -= 1
        self.note_busy(connection)

    def note_quiet(self, connection: "Connection") -> None:
        """No request of a known caller is under way on it, from now on."""
        self._quiet.pop(connection, None)
        self._quiet[connection] = None

    def note_busy(self, connection: "Connection") -> None:
        self._quiet.pop(connection, None)


class Connection(web.RequestHandler):
    """One connection: a head arrives in time, and what is no request is answered by a problem."""

    __slots__ = ("_among", "_begun", "_busy", "_head_timer", "_take_timer", "_untaken")

    def __init__(self, among: Connections, server: web.Server, **options: Any) -> None:
        super().__init__(server, **options)
        self._among = among
        self._busy = self._begun = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._take_timer: asyncio.TimerHandle | None = None
        self._untaken = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        super().connection_made(transport)
        self._await_head()
        self._among.opened(self)

    def connection_lost(self, exc: BaseException | None) -> None:
        self._stop_timer()
        self._stop_watching()
        self._among.closed(self)
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        self._begun = True
        if not (self._busy or self._head_timer):
            self._await_head()
        super().data_received(data)

    def begin_request(self) -> None:
        """A head is complete, and its request is being handled."""
        self._busy = True
        self._stop_timer()

    def keep(self) -> None:
        """Its request is a known caller's: it is closed for no other until that is answered."""
        self._among.note_busy(self)

    def pause_writing(self) -> None:
        """Called when more is to be sent than the reader has taken so far."""
        super().pause_writing()
        self._watch_reader()

    def resume_writing(self) -> None:
        super().resume_writing()
        self._stop_watching()

    def log_access(
        self, request: web.BaseRequest, response: web.StreamResponse, time: float | None
    ) -> None:
        """Called once an answer is sent: the next head may come."""
        super().log_access(request, response, time)
        self._busy = self._begun = False
        self._stop_timer()
        self._among.note_quiet(self)

    async def finish_response(
        self, request: web.BaseRequest, resp: web.StreamResponse, start_time: float | None
    ) -> tuple[web.StreamResponse, bool]:
        """Also what is refused before a handler is asked, such as an unknown ``Expect``."""
        if isinstance(resp, web.HTTPException):
            resp = of_aiohttp(request, resp)
        return await super().finish_response(request, resp, start_time)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = HTTPStatus.INTERNAL_SERVER_ERROR,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """The answer to what is no request. It repeats nothing of it, which may be secret."""
        super().handle_error(request, status, exc, message)
        if status == HTTPStatus.BAD_REQUEST:
            detail = _TOO_LONG if isinstance(exc, LineTooLong) else _NOT_HTTP
            answer = problem_answer(ProblemType.INVALID_REQUEST, detail)
        else:
            answer = internal_error()
        answer.force_close()
        return answer

    def give_up(self, problem: ProblemType, detail: str) -> None:
        """Close it, and say why."""
        if self.transport and not self.transport.is_closing():
            self.transport.write(_written_out(problem_answer(problem, detail)))
        self.force_close()

    def _await_head(self) -> None:
        loop = asyncio.get_running_loop()
        self._head_timer = loop.call_later(self._among.limits.head_seconds, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if not self._begun:
            self.force_close()
            return
        self.give_up(
            ProblemType.REQUEST_TIMEOUT,
            f"the head did not arrive within {self._among.limits.head_seconds:g} s; send it again",
        )

    def _watch_reader(self) -> None:
        assert self.transport
        self._untaken = self.transport.get_write_buffer_size()
        loop = asyncio.get_running_loop()
        self._take_timer = loop.call_later(self._among.limits.take_seconds, self._look_at_reader)

    def _look_at_reader(self) -> None:
        assert self.transport
        if self.transport.get_write_buffer_size() < self._untaken:
            self._watch_reader()
        else:
            self.transport.abort()

    def _stop_watching(self) -> None:
        if self._take_timer:
            self._take_timer.cancel()
            self._take_timer = None

    def _stop_timer(self) -> None:
        if self._head_timer:
            self._head_timer.cancel()
            self._head_timer = None


@web.middleware
async def note_request(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Tells the connection that a head has arrived."""
    if isinstance(request.protocol, Connection):
        request.protocol.begin_request()
    return await handler(request)


def keep_connection(request: web.Request) -> None:
    """Tells the connection that the request is a known caller's."""
    if isinstance(request.protocol, Connection):
        request.protocol.keep()


def _written_out(answer: web.Response) -> bytes:
    """The answer to what has not become a request."""
    assert isinstance(answer.body, bytes)
    head = (
        f"HTTP/1.1 {answer.status} {answer.reason}",
        *(f"{name}: {value}" for name, value in answer.headers.items()),
        f"Content-Length: {len(answer.body)}",
        "Connection: close",
    )
    return "\r\n".join((*head, "", "")).encode() + answer.body
