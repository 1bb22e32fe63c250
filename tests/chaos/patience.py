"""Waiting for what a chaos run does not hurry."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import TypeVar

from push_queue.errors import RedisUnavailableError
from tests.support.processes import POLL_SECONDS

T = TypeVar("T")


async def patiently(ask: Callable[[], Awaitable[T]]) -> T:
    """Retries like a producer that is told to try again when Redis is down."""
    while True:
        try:
            return await ask()
        except RedisUnavailableError:
            await asyncio.sleep(POLL_SECONDS)


async def until(condition: Callable[[], bool]) -> None:
    """Within the time limit of the whole run, or of `asyncio.timeout` around this."""
    while not condition():  # noqa: ASYNC110 - what it looks at is changed in many places
        await asyncio.sleep(POLL_SECONDS)
