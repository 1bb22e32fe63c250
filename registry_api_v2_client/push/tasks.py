"""Several coroutines at once, with one plain exception."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

T = TypeVar("T")


async def together(work: Iterable[Coroutine[Any, Any, T]]) -> list[T]:
    """Run all at once; the first failure stops the others and is raised by itself."""
    try:
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(one) for one in work]
    except BaseExceptionGroup as failures:
        raise first_of(failures) from None
    return [task.result() for task in tasks]


def first_of(failure: BaseException) -> BaseException:
    """The first failure in a group, or in groups in it."""
    return first_of(failure.exceptions[0]) if isinstance(failure, BaseExceptionGroup) else failure
