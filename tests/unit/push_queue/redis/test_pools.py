"""How connections to Redis are opened."""

import asyncio

import pytest
from redis.asyncio.connection import AbstractConnection, ConnectionPool

from push_queue.redis import connection
from push_queue.settings.redis_url import parse_redis_url

DIRECT = connection._pool(parse_redis_url("redis://127.0.0.1:1/0"))
SENTINELS = connection._primary(parse_redis_url("redis+sentinel://127.0.0.1:1/uploads"))


@pytest.mark.parametrize("pool", [DIRECT, SENTINELS])
async def test_one_that_hangs_holds_up_no_other(
    pool: ConnectionPool, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With a server that hangs, commands would fail one after the other, not together."""
    hangs, ends = asyncio.Event(), asyncio.Event()
    opened: list[AbstractConnection] = []

    async def open_connection(new: AbstractConnection) -> None:
        opened.append(new)
        if len(opened) == 1:
            hangs.set()
            await ends.wait()
            raise ConnectionError

    monkeypatch.setattr(pool, "ensure_connection", open_connection)
    first = asyncio.create_task(pool.get_connection())
    async with asyncio.timeout(60):
        await hangs.wait()
        second = await pool.get_connection()
        ends.set()
        with pytest.raises(ConnectionError):
            await first
    assert opened[0] is not second
    assert await pool.get_connection() is opened[0]
