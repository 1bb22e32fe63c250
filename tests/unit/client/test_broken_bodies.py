"""A connection that breaks while a body is sent: one error, and nothing behind its back."""

import asyncio
import gc
from collections.abc import AsyncIterator
from typing import Any

import pytest
from yarl import URL

from registry_api_v2_client.exceptions import RegistryUnavailableError
from registry_api_v2_client.http.transport import Transport
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
        # The first of these finds out, the second closes the connection, the end comes too late.
        yield b"after"
        yield b"after"

    server = await asyncio.start_server(hang_up, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    url = URL(f"http://{host}:{port}/upload")
    async with server, Transport(timeout=5) as transport:
        with pytest.raises(RegistryUnavailableError, match=f"{host}:{port}"):
            await transport.request(
                "PATCH", url, registry=url.origin(), scope="", what="upload", ok={202}, body=body()
            )
    gc.collect()
    assert complaints == []


async def hang_up() -> AsyncIterator[bytes]:
    return
    yield b""


async def test_a_put_whose_connection_breaks_is_not_sent_again_unseen() -> None:
    """Whoever writes a tag has to know of every request that may have arrived."""
    async with RawServer(hang_up) as server, Transport(timeout=5) as transport:
        url = URL(server.url)
        with pytest.raises(RegistryUnavailableError, match="closed the connection"):
            await transport.request(
                "PUT", url / "tag", registry=url, scope="", what="tag", ok={201}, body=b"{}"
            )
        assert len(server.requests) == 1
