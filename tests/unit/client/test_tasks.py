"""Several coroutines at once."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from registry_api_v2_client.push.tasks import as_one, together


async def fail() -> None:
    raise LookupError("one of them")


async def never_end() -> None:
    await asyncio.Event().wait()


async def a_group_that_fails() -> None:
    async with asyncio.TaskGroup() as group:
        group.create_task(fail())


async def test_results_come_in_the_order_of_the_work() -> None:
    assert await together(asyncio.sleep(0, number) for number in range(3)) == [0, 1, 2]


async def test_the_first_failure_is_raised_by_itself_and_stops_the_others() -> None:
    async with asyncio.timeout(60):
        with pytest.raises(LookupError):
            await together([never_end(), fail()])


@pytest.mark.parametrize("work", [lambda: together([fail()]), lambda: as_one(a_group_that_fails())])
async def test_a_failure_leaves_no_cancellation_behind(work: Callable[[], Awaitable[None]]) -> None:
    """Python 3.11.2 would take each later timeout of the caller's task for a cancellation."""
    task = asyncio.current_task()
    assert task
    with pytest.raises(LookupError):
        await work()
    assert not task.cancelling()


async def test_cancelling_the_caller_cancels_the_work() -> None:
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await never_end()
        finally:
            ended.set()

    caller = asyncio.create_task(together([work()]))
    await begun.wait()
    caller.cancel()
    with pytest.raises(asyncio.CancelledError):
        await caller
    assert ended.is_set()
