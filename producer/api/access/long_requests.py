"""Requests that go on for long end with the session or the token that they came with."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web

from producer.api.access.authentication import identify
from producer.api.access.keys import OPEN
from producer.api.problems import ProblemError
from push_queue.errors import RedisUnavailableError

CHECK_SECONDS = 5.0
"""How long a caller may go on after its session or its token has ended."""


@asynccontextmanager
async def while_allowed(request: web.Request) -> AsyncIterator[None]:
    """Cut the block off once the caller would not be let in any more.

    Raises:
        ProblemError: it was cut off; says why.
    """
    if request.app[OPEN]:
        yield
        return
    block = asyncio.timeout(None)
    checking = asyncio.create_task(_refusal(request, block))
    try:
        async with block:
            yield
    except TimeoutError:
        if not block.expired():
            raise
        raise checking.result() from None
    finally:
        checking.cancel()


async def _refusal(request: web.Request, block: asyncio.Timeout) -> ProblemError:
    """End the block once the caller is refused, and return why."""
    while True:
        await asyncio.sleep(CHECK_SECONDS)
        try:
            await identify(request)
        except RedisUnavailableError:
            continue  # Nobody is logged out by that.
        except ProblemError as refusal:
            block.reschedule(asyncio.get_running_loop().time())
            return refusal
