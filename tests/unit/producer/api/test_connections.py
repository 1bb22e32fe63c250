"""Connections that bring no request, or none that can be read, and too many of them."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from typing import Any

import pytest
from aiohttp import web
from yarl import URL

from producer import PushQueue
from producer.api import following
from producer.api.connections import ConnectionLimits, Connections
from producer.api.server import running_server
from push_queue.settings import Settings
from tests.support.api import TARGET
from tests.support.tokens import with_tokens
from tests.support.waiting import becomes

HANG_SECONDS = 60
AT_ONCE = 0.05
SOURCE = "/images/app.tar"
HEALTH = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
LOGIN = (
    b"POST /api/v1/session HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n"
    b"Content-Length: 9\r\nExpect: 100-continue\r\n\r\n"
)
STREAM = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"


class Connection:
    """A client's end."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._reader = reader
        self._writer = writer

    def send(self, data: bytes) -> None:
        self._writer.write(data)

    async def head(self) -> bytes:
        """The next head of an answer."""
        async with asyncio.timeout(HANG_SECONDS):
            return await self._reader.readuntil(b"\r\n\r\n")

    async def answer(self) -> tuple[int, Any]:
        """The next answer: its status and its body, which is JSON."""
        head = await self.head()
        fields = dict(line.split(": ") for line in head.decode().split("\r\n")[1:] if line)
        async with asyncio.timeout(HANG_SECONDS):
            body = await self._reader.readexactly(int(fields["Content-Length"]))
        assert head.startswith(b"HTTP/1.1 200") or fields["Content-Type"].startswith(
            "application/problem+json"
        )
        return int(head.split()[1]), json.loads(body)

    async def hear(self, words: bytes) -> None:
        """Wait for these words."""
        async with asyncio.timeout(HANG_SECONDS):
            await self._reader.readuntil(words)

    async def rest(self) -> bytes:
        """All that comes until the server closes it."""
        async with asyncio.timeout(HANG_SECONDS):
            try:
                return await self._reader.read()
            except ConnectionError:
                return b""


class Server:
    """A server, and connections to it."""

    def __init__(self, url: str, stack: AsyncExitStack) -> None:
        self._url = URL(url)
        self._stack = stack

    async def connect(self, limit: int = 65536) -> Connection:
        """A connection whose client takes little more than so many bytes that it has no use for."""
        reader, writer = await asyncio.open_connection(self._url.host, self._url.port, limit=limit)
        self._stack.callback(writer.close)
        return Connection(reader, writer)


@pytest.fixture
def limits() -> ConnectionLimits:
    return ConnectionLimits(head_seconds=HANG_SECONDS)


class Transport(asyncio.Transport):
    """The server's end of a connection whose reader has ``untaken`` bytes left, look by look."""

    def __init__(self, untaken: list[int]) -> None:
        super().__init__()
        self.untaken = untaken
        self.aborted = asyncio.Event()

    def get_write_buffer_size(self) -> int:
        return self.untaken.pop(0)

    def abort(self) -> None:
        self.aborted.set()


async def nobody(_: web.BaseRequest) -> web.StreamResponse:
    raise NotImplementedError


@asynccontextmanager
async def serving(
    queue: PushQueue, settings: Settings, limits: ConnectionLimits
) -> AsyncIterator[Server]:
    async with (
        running_server(queue, settings, "127.0.0.1", 0, limits) as url,
        AsyncExitStack() as stack,
    ):
        yield Server(url, stack)


@pytest.fixture
async def http(
    queue: PushQueue, settings: Settings, limits: ConnectionLimits
) -> AsyncIterator[Server]:
    async with serving(queue, settings, limits) as server:
        yield server


@pytest.mark.parametrize(
    ("request_", "status", "kind", "words"),
    [
        (b"secret\r\n\r\n", 400, "invalid-request", "no request that can be read"),
        (b"\x16\x03\x01secret\r\n\r\n", 400, "invalid-request", "no request that can be read"),
        (b"GET / HTTP/1.1\r\nsecret\r\n\r\n", 400, "invalid-request", "no request"),
        (
            b"GET / HTTP/1.1\r\nX: " + b"secret" * 2000 + b"\r\n\r\n",
            400,
            "invalid-request",
            "too long",
        ),
        (
            b"GET /secret" + b"x" * 9000 + b" HTTP/1.1\r\nHost: localhost\r\n\r\n",
            400,
            "invalid-request",
            "too long",
        ),
        (HEALTH[:-2] + b"Expect: secret\r\n\r\n", 417, "expectation-failed", "100-continue"),
        (
            HEALTH.replace(b"/healthz", b"/nowhere")[:-2] + b"Expect: secret\r\n\r\n",
            417,
            "expectation-failed",
            "100-continue",
        ),
    ],
)
async def test_what_is_refused_before_a_handler_sees_it_is_a_problem_too(
    http: Server, request_: bytes, status: int, kind: str, words: str
) -> None:
    connection = await http.connect()
    connection.send(request_)
    found, problem = await connection.answer()
    assert (found, problem["status"]) == (status, status)
    assert problem["type"] == f"urn:push-queue:problem:{kind}"
    assert words in problem["detail"]
    assert "secret" not in json.dumps(problem)
    assert "\n" not in problem["detail"]


async def in_time(http: Server, request: bytes) -> Connection:
    """A connection on which the answer has begun; on a busy machine not each is that quick."""
    while True:
        connection = await http.connect()
        connection.send(request)
        with suppress(asyncio.IncompleteReadError, ConnectionError):
            if (await connection.head()).startswith(b"HTTP/1.1 200"):
                await connection.hear(b"}" if request == HEALTH else b"retry:")
                return connection


class TestSlowHeads:
    @pytest.fixture
    def limits(self) -> ConnectionLimits:
        return ConnectionLimits(head_seconds=AT_ONCE)

    async def test_a_connection_that_brings_nothing_is_closed(self, http: Server) -> None:
        assert await (await http.connect()).rest() == b""

    async def test_half_a_head_is_given_up(self, http: Server) -> None:
        said = b""
        while not said:
            connection = await http.connect()
            connection.send(HEALTH[:-10])
            # Nothing, if on a busy machine the bytes were late, too.
            said = await connection.rest()
        assert said.startswith(b"HTTP/1.1 408")
        assert b"urn:push-queue:problem:request-timeout" in said

    async def test_a_later_head_has_no_more_time(
        self, http: Server, limits: ConnectionLimits
    ) -> None:
        connection = await self._served(http, limits)
        connection.send(HEALTH[:-10])
        assert (await connection.answer())[0] == 408
        assert await connection.rest() == b""

    async def test_more_bytes_give_no_more_time(
        self, http: Server, limits: ConnectionLimits
    ) -> None:
        connection = await self._served(http, limits)
        connection.send(HEALTH[:-2])

        async def drip() -> None:
            while True:
                connection.send(b"X: y\r\n")
                await asyncio.sleep(AT_ONCE / 10)

        dripping = asyncio.create_task(drip())
        assert (await connection.answer())[0] == 408
        dripping.cancel()

    async def _served(self, http: Server, limits: ConnectionLimits) -> Connection:
        """A connection that has had an answer; what comes next has little time."""
        limits.head_seconds = HANG_SECONDS
        connection = await http.connect()
        connection.send(HEALTH)
        assert (await connection.answer())[0] == 200
        limits.head_seconds = AT_ONCE
        return connection

    async def test_nothing_else_is_cut_off(
        self, http: Server, limits: ConnectionLimits, queue: PushQueue
    ) -> None:
        idle = await in_time(http, HEALTH)
        stream = await in_time(http, STREAM)
        # Their time, if they had one, would be over before that of a connection made after them.
        assert await (await http.connect()).rest() == b""
        limits.head_seconds = HANG_SECONDS
        await queue.enqueue(SOURCE, TARGET)
        await stream.hear(b"event: state")
        idle.send(HEALTH)
        assert (await idle.answer())[0] == 200


class TestSlowReaders:
    @pytest.fixture
    def limits(self) -> ConnectionLimits:
        return ConnectionLimits(head_seconds=HANG_SECONDS, take_seconds=AT_ONCE)

    async def test_one_that_takes_nothing_is_cut_off(
        self, http: Server, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.INFO)
        monkeypatch.setattr(following, "NOTHING", b":" * 1_000_000 + b"\n\n")
        monkeypatch.setattr(following, "QUIET_SECONDS", 0.01)
        stream = await http.connect(limit=1)
        stream.send(STREAM)

        async def ended() -> bool:
            return "GET /api/v1/events 200" in caplog.text

        await becomes(ended)
        assert not (await stream.rest()).endswith(b"0\r\n\r\n"), "an end in order"

    async def test_one_that_takes_little_is_waited_for(self, limits: ConnectionLimits) -> None:
        transport = Transport(untaken=[3, 2, 1, 1])
        connection = Connections(web.Server(nobody), limits)()
        connection.connection_made(transport)
        connection.pause_writing()
        async with asyncio.timeout(HANG_SECONDS):
            await transport.aborted.wait()
        assert transport.untaken == []


class TestTooMany:
    @pytest.fixture
    def limits(self) -> ConnectionLimits:
        return ConnectionLimits(most=2, head_seconds=HANG_SECONDS)

    async def test_the_one_that_is_quiet_for_longest_makes_room(self, http: Server) -> None:
        stream, quiet = await http.connect(), await http.connect()
        quiet.send(HEALTH)
        assert (await quiet.answer())[0] == 200
        stream.send(STREAM)
        await stream.hear(b"retry:")
        for _ in range(3):
            new = await http.connect()
            new.send(HEALTH)
            assert (await new.answer())[0] == 200
            assert await quiet.rest() == b""
            quiet = new

    async def test_none_that_is_busy_is_closed_for_another(
        self, http: Server, queue: PushQueue
    ) -> None:
        streams = [await http.connect() for _ in range(2)]
        for stream in streams:
            stream.send(STREAM)
            await stream.hear(b"retry:")
        late = await http.connect()
        status, problem = await late.answer()
        assert (status, problem["type"]) == (503, "urn:push-queue:problem:too-many-connections")
        assert await late.rest() == b""
        await queue.enqueue(SOURCE, TARGET)
        for stream in streams:
            await stream.hear(b"event: state")

    @pytest.mark.parametrize("tokens", [True, False])
    async def test_who_has_shown_no_token_makes_room(
        self, queue: PushQueue, settings: Settings, limits: ConnectionLimits, tokens: bool
    ) -> None:
        """Anybody may send the body of a login, and take half a minute for it."""
        settings = with_tokens(settings) if tokens else settings
        async with serving(queue, settings, limits) as http:
            logins = [await http.connect() for _ in range(limits.most)]
            for login in logins:
                login.send(LOGIN)
                assert (await login.head()).startswith(b"HTTP/1.1 100")
            new = await http.connect()
            new.send(HEALTH)
            assert (await new.answer())[0] == 200
            assert await logins[0].rest() == b""
