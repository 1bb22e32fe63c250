"""Upload sessions that a push has open at registries, so that they can be closed or left."""

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

_ABANDON_SECONDS = 5.0

Abandon = Callable[[], Awaitable[None]]


class OpenUploads:
    """The sessions of one push. One that was interrupted stays in here, to be continued.

    Whoever gives this to a push decides what becomes of the sessions when it fails: ``abandon``
    them, or leave them at the registry for the next attempt, which finds them by the ledger.
    """

    def __init__(self) -> None:
        self._open: dict[object, Abandon] = {}

    def add(self, key: object, abandon: Abandon) -> None:
        self._open[key] = abandon

    def remove(self, key: object) -> None:
        self._open.pop(key, None)

    async def close(self, key: object) -> None:
        """Tell the registry to forget the session under that key, if there is one."""
        if abandon := self._open.pop(key, None):
            await _bounded(abandon)

    async def abandon(self) -> None:
        """Tell the registries to forget the sessions; bounded, and best effort."""
        abandons, self._open = list(self._open.values()), {}
        await _bounded(*abandons)


async def _bounded(*abandons: Abandon) -> None:
    with suppress(TimeoutError):
        async with asyncio.timeout(_ABANDON_SECONDS):
            await asyncio.gather(*(abandon() for abandon in abandons))
