"""Timeouts in tasks that are being cancelled."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from push_queue.redis.early_python import timeout


async def while_cancelled(then: Callable[[], Awaitable[None]]) -> None:
    """Run ``then`` as what cleans up in a task that is being cancelled."""
    task = asyncio.current_task()
    assert task
    task.cancel()
    try:
        await asyncio.sleep(0)
    except asyncio.CancelledError:
        await then()


async def test_it_is_over_in_a_task_that_is_being_cancelled() -> None:
    async def wait() -> None:
        async with timeout(0):
            await asyncio.Event().wait()

    with pytest.raises(TimeoutError):
        await asyncio.create_task(while_cancelled(wait))


async def test_a_further_cancellation_ends_the_task() -> None:
    async def wait() -> None:
        async with timeout(None):
            asyncio.current_task().cancel()  # type: ignore[union-attr]
            await asyncio.Event().wait()

    with pytest.raises(asyncio.CancelledError):
        await asyncio.create_task(while_cancelled(wait))


async def test_within_its_time_nothing_happens() -> None:
    async def wait() -> None:
        async with timeout(60):
            await asyncio.sleep(0)

    await asyncio.create_task(while_cancelled(wait))
