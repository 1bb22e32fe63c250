"""Steps that are repeated in the background."""

import asyncio
import logging
from collections.abc import Awaitable, Callable

logger = logging.getLogger(__name__)

_RENEWALS = 3
"""How often a lease is renewed before it would expire."""


class Periodic:
    """Runs ``step`` every ``seconds``, from ``start`` to ``stop`` or for as long as its context.

    A step that fails is logged, and the next one comes all the same.
    """

    def __init__(self, seconds: float, step: Callable[[], Awaitable[object]]) -> None:
        self._seconds = seconds
        self._step = step
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        self._task = asyncio.create_task(self._keep_on())

    async def stop(self) -> None:
        """May be called twice, or without a start."""
        task, self._task = self._task, None
        if task:
            task.cancel()
            await asyncio.wait([task])

    async def __aenter__(self) -> None:
        self.start()

    async def __aexit__(self, *_: object) -> None:
        await self.stop()

    async def _keep_on(self) -> None:
        while self._task:  # A step that fails when it is cancelled does not end this.
            await asyncio.sleep(self._seconds)
            try:
                await self._step()
            except Exception:  # the steps' outermost frame; else nobody hears that they have ended
                logger.exception("unexpected error in the background")


def renewals(seconds: float, renew: Callable[[], Awaitable[object]]) -> Periodic:
    """Calls ``renew`` in good time for a lease of ``seconds``."""
    return Periodic(seconds / _RENEWALS, renew)
