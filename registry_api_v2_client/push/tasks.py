"""Several coroutines at once, with one plain exception."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all at once; the first failure stops the others and is raised by itself."""

    async def run() -> list[T]:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
        return [task.result() for task in tasks]

    return await as_one(run())


async def as_one(grouped: Coroutine[Any, Any, T]) -> T:
    """Run what has a task group; of its failures the first is raised by itself.

    It gets a task of its own: a group cancels the task that it is in when one of its tasks fails,
    and before Python 3.13 does not always take that back. In what the caller does next, Python
    3.11.2 would take every timeout for the end of the task.
    """
    try:
        return await asyncio.create_task(grouped)
    except BaseExceptionGroup as failures:
        raise first_of(failures) from None


def first_of(failure: BaseException) -> BaseException:
    """The first failure in a group, or in groups in it."""
    return first_of(failure.exceptions[0]) if isinstance(failure, BaseExceptionGroup) else failure
