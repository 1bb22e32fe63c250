"""A task that talks to Redis ends when it is cancelled, wherever it is just then."""

import asyncio
from pathlib import Path

import pytest

from push_queue.redis.connection import connect
from push_queue.settings import load_settings
from tests.support.sentinel import run_sentinel_redis

pytestmark = pytest.mark.integration

ROUNDS = 200
STEP_SECONDS = 0.00001
"""The cancellations are spread over what a command takes."""


async def deaf_tasks(url: str) -> int:
    """How many of the tasks that were cancelled while they talked to Redis went on."""
    redis = await connect(load_settings(redis_url=url))
    told = asyncio.Event()

    async def talk() -> None:
        while not told.is_set():
            await redis.ping()

    tasks = []
    for number in range(ROUNDS):
        tasks.append(asyncio.create_task(talk()))
        await asyncio.sleep(number * STEP_SECONDS)
        tasks[-1].cancel()
    told.set()
    ended = await asyncio.gather(*tasks, return_exceptions=True)
    await redis.aclose()
    return sum(not isinstance(end, asyncio.CancelledError) for end in ended)


async def test_a_cancelled_command_is_not_forgotten(redis_url: str) -> None:
    assert await deaf_tasks(redis_url) == 0


async def test_nor_is_one_at_a_primary_that_sentinels_named(tmp_path: Path) -> None:
    with run_sentinel_redis(tmp_path / "redis") as servers:
        assert await deaf_tasks(servers.url) == 0
