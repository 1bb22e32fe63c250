"""Leases in Redis that are renewed for as long as something goes on."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

_RENEWALS = 3
"""Times that a lease is renewed before it would run out."""


@asynccontextmanager
async def renewed(seconds: float, renew: Callable[[], Awaitable[object]]) -> AsyncIterator[None]:
    """Call ``renew``, which must not raise, in good time for a lease of so many ``seconds``."""

    async def keep() -> None:
        while True:
            await asyncio.sleep(seconds / _RENEWALS)
            await renew()

    renewal = asyncio.create_task(keep())
    try:
        yield
    finally:
        renewal.cancel()
        await asyncio.wait([renewal])
