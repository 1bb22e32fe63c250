"""What redis-py lacks for Python 3.11.0 to 3.11.2. Debian 12 has the last of them."""

import asyncio
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib import import_module

_WITH_TIMEOUTS = ("redis.asyncio.connection", "redis._parsers.base", "redis._parsers.hiredis")
_MENDED = (3, 11, 3)


def mend_timeouts() -> None:
    """Let a task that is being cancelled clean up in Redis.

    In these Pythons a timeout ends such a task (https://github.com/python/cpython/issues/102780).
    With one of no seconds redis-py looks before each command whether its connection is idle.
    """
    if sys.version_info < _MENDED:
        for module in map(import_module, _WITH_TIMEOUTS):
            module.async_timeout = timeout  # type: ignore[attr-defined]


@asynccontextmanager
async def timeout(seconds: float | None) -> AsyncIterator[asyncio.Timeout]:
    """``asyncio.timeout`` of later Pythons."""
    task = asyncio.current_task()
    before = task.cancelling() if task else 0
    limit = asyncio.timeout(seconds)
    try:
        async with limit:
            yield limit
    except asyncio.CancelledError:
        if task and limit.expired() and task.cancelling() <= before:
            raise TimeoutError from None
        raise
