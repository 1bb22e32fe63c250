"""A connection that breaks while a body is sent: one error, and nothing logged besides."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from yarl import URL

from registry_api_v2_client.api.transport import Transport
from registry_api_v2_client.exceptions import RegistryTimeoutError, RegistryUnavailableError
from registry_api_v2_client.http.messages import Request
from tests.support.connection_server import ConnectionServer
from tests.support.raw_server import RawServer


async def test_a_break_at_the_very_end_of_a_body_leaves_no_task_to_complain() -> None:
    complaints: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, what: complaints.append(what))
    gone = asyncio.Event()

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.transport.abort()
        gone.set()

    async def body() -> AsyncIterator[bytes]:
        yield b"before"
        await gone.wait()
        # The first of these fails, the second closes the connection, the end comes too late.
        yield b"after"
        yield b"after"

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    url = URL(f"http://{host}:{port}/upload")
    async with server, Transport(timeout=60) as transport:
        request = Request("PATCH", url, url.origin(), body=body())
        with pytest.raises(RegistryUnavailableError, match=f"{host}:{port}"):
            await transport.request(request, scope="", what="upload", ok={202})
    gc.collect()
    assert complaints == []


async def hang_up() -> AsyncIterator[bytes]:
    return
    yield b""


async def test_a_put_whose_connection_breaks_is_not_sent_again_unseen() -> None:
    """A writer of tags has to know of every request that may have arrived."""
    async with RawServer(hang_up) as server, Transport(timeout=60) as transport:
        url = URL(server.url)
        request = Request("PUT", url / "tag", url, body=b"{}")
        with pytest.raises(RegistryUnavailableError, match="closed the connection"):
            await transport.request(request, scope="", what="tag", ok={201})
        assert len(server.requests) == 1


TIMEOUT = 1.0


async def send_slowly(url: URL, body: AsyncIterator[bytes]) -> int:
    async with Transport(timeout=TIMEOUT) as transport:
        request = Request("PATCH", url, url.origin(), body=body)
        answer = await transport.request(request, scope="", what="upload", ok={202})
    return answer.status


async def test_a_body_that_is_slow_to_come_is_no_silence_of_the_registry() -> None:
    """Another registry that gets the same blob sets the pace."""

    class TakesAll(ConnectionServer):
        async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await reader.readuntil(b"0\r\n\r\n")
            writer.write(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")
            await writer.drain()
            await reader.read()

    async def body() -> AsyncIterator[bytes]:
        for _ in range(2):
            await asyncio.sleep(2 * TIMEOUT)
            yield b"block"
        await asyncio.sleep(2 * TIMEOUT)

    async with TakesAll() as server:
        assert await send_slowly(URL(server.url), body()) == 202


@pytest.mark.parametrize("begun", [b"", b"HTTP/1.1 202 Accepted\r\nContent-Length: 9\r\n\r\nx"])
async def test_an_answer_is_waited_for_no_longer_where_a_body_has_ended_or_does_not(
    begun: bytes,
) -> None:
    async def answer() -> AsyncIterator[bytes]:
        yield begun
        await asyncio.Event().wait()

    async def body() -> AsyncIterator[bytes]:
        yield b"block"
        if begun:
            await asyncio.sleep(TIMEOUT / 2)
            yield b"block"
            await asyncio.Event().wait()

    async with asyncio.timeout(60), RawServer(answer) as server:
        with pytest.raises(RegistryTimeoutError, match="in time"):
            await send_slowly(URL(server.url), body())
