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


async def test_nobody_gets_a_connection_that_is_being_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """When a failover is noticed, all idle connections are closed while commands go on."""
    url = parse_redis_url("redis+sentinel://127.0.0.1:1/uploads")
    pool: ConnectionPool = connection._primary(url)
    closing = asyncio.Event()

    async def opened(_: AbstractConnection) -> None:
        pass

    async def close(_: AbstractConnection, nowait: bool = False) -> None:
        closing.set()
        await asyncio.sleep(0)

    monkeypatch.setattr(pool, "ensure_connection", opened)
    monkeypatch.setattr(pool.connection_class, "disconnect", close)
    idle = [await pool.get_connection() for _ in range(2)]
    for one in idle:
        await pool.release(one)
    closing.clear()
    dropped = asyncio.create_task(pool.disconnect(inuse_connections=False))
    await closing.wait()
    assert await pool.get_connection() not in idle
    await dropped
