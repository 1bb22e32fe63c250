"""How fast this worker sends to a registry, within the bandwidth that the fleet has for it."""

import asyncio
import logging
from collections.abc import Callable

from push_queue.errors import RedisUnavailableError
from push_queue.registries.rates import RegistryRates

logger = logging.getLogger(__name__)

_PAUSE_SECONDS = 1.0
"""The time until a Redis that refuses is asked again."""

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


class _Share:
    """What this worker may send to one registry.

    Nothing is sent without a grant of Redis, nor after a grant's end. So the fleet keeps the rate
    when Redis hangs or is away, and when workers are stopped and go on later.
    """

    def __init__(self, rates: RegistryRates, registry: str, worker_id: str, limit: int) -> None:
        self._rates = rates
        self._registry = registry
        self._worker_id = worker_id
        self._limit = limit
        self._loop = asyncio.get_running_loop()
        self._left = 0
        self._ends = 0.0
        self._turn = asyncio.Lock()

    async def take(self, most: int) -> int:
        # One upload after the other, so that each gets its part.
        async with self._turn:
            while not self._left or self._loop.time() >= self._ends:
                await self._renew()
            count = min(most, self._left)
            self._left -= count
            return count

    async def _renew(self) -> None:
        self._left = 0
        # The grant was made between the question and the answer. Its wait is counted from the
        # answer and its end from the question, so that both hold by Redis' clock.
        asked = self._loop.time()
        try:
            grant = await self._rates.grant(self._registry, self._worker_id, self._limit)
        except RedisUnavailableError as error:
            logger.warning("the bandwidth to %s cannot be asked for: %s", self._registry, error)
            await asyncio.sleep(_PAUSE_SECONDS)
            return
        await asyncio.sleep(grant.wait)
        self._left, self._ends = grant.bytes, asked + grant.ends
