"""How fast this worker sends to a registry, within the bandwidth that the fleet has for it."""

import asyncio
import logging
from collections.abc import Callable

from push_queue.errors import RedisUnavailableError
from push_queue.registries.rates import Grant, RegistryRates

logger = logging.getLogger(__name__)

_PERIOD = 0.25
"""Seconds that a grant is for, unless Redis says that it is for longer."""

Limit = Callable[[str], int | None]
"""Bytes a second that the fleet may send to a registry; None if there is no limit."""


class FleetRate:
    """``SendRate`` in Redis. ``worker_id`` is who asks for shares."""

    def __init__(self, rates: RegistryRates, worker_id: str, limit: Limit) -> None:
        self._rates = rates
        self._worker_id = worker_id
        self._limit = limit
        self._shares: dict[str, _Share] = {}

    async def may_send(self, registry: str, most: int) -> int:
        """See ``SendRate``."""
        limit = self._limit(registry)
        if limit is None:
            return most
        if registry not in self._shares:
            self._shares[registry] = _Share(self._rates, registry, self._worker_id, limit)
        return await self._shares[registry].take(most)

    async def close(self) -> None:
        for share in self._shares.values():
            await share.close()


class _Share:
    """What this worker may send to one registry.

    While Redis does not answer, the worker goes on with the share that it had last.
    """

    def __init__(self, rates: RegistryRates, registry: str, worker_id: str, limit: int) -> None:
        self._rates = rates
        self._registry = registry
        self._worker_id = worker_id
        self._limit = limit
        self._last = Grant(max(1, round(limit * _PERIOD)), 0, _PERIOD)
        self._left = 0
        self._turn = asyncio.Lock()
        self._answer: asyncio.Task[Grant] | None = None

    async def take(self, most: int) -> int:
        # One upload after the other, so that each gets its part.
        async with self._turn:
            if not self._left:
                self._left = await self._next()
            count = min(most, self._left)
            self._left -= count
            return count

    async def _next(self) -> int:
        if self._answer is None:
            self._answer = asyncio.create_task(self._ask())
        await asyncio.wait([self._answer], timeout=self._last.period)
        if self._answer.done():
            answer, self._answer = self._answer, None
            self._last = answer.result()
            await asyncio.sleep(self._last.wait)
        return self._last.bytes

    async def _ask(self) -> Grant:
        try:
            return await self._rates.grant(self._registry, self._worker_id, self._limit)
        except RedisUnavailableError as error:
            logger.warning("the bandwidth to %s cannot be asked for: %s", self._registry, error)
            return Grant(self._last.bytes, self._last.period, self._last.period)

    async def close(self) -> None:
        if self._answer:
            self._answer.cancel()
            await asyncio.wait([self._answer])
