"""Wait for a condition, and return as soon as it holds."""

import asyncio
from collections.abc import Awaitable, Callable

from tests.support.processes import HANG_SECONDS, POLL_SECONDS


async def becomes(condition: Callable[[], Awaitable[bool]], timeout: float = HANG_SECONDS) -> None:
    """Poll until the condition holds; TimeoutError if it never does."""
    async with asyncio.timeout(timeout):
        while True:
            if await condition():
                return
            await asyncio.sleep(POLL_SECONDS)
