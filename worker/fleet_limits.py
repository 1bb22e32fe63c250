"""How many blobs this worker sends to a registry at once, within the limit of the fleet."""

import asyncio
import logging
import random
import secrets
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

from push_queue.errors import RedisUnavailableError
from push_queue.registries.limits import RegistryLimits
from registry_api_v2_client import (
    NoSlotError,
    RegistryError,
    RegistryTimeoutError,
    asks_for_a_pause,
    is_outage,
)

from .periodic import renewals

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 2.0
"""How long a job waits for a slot at this worker while other jobs wait for the worker."""
_FAILURES = 3
"""Failures in a row after which a registry that cannot be reached gets a pause. After a time-out it
gets one at once: it has been waited for long enough."""
LONGEST_ASKED = 3600.0
"""The longest pause, in seconds, that a registry may ask for."""
_SAME_PAUSE_SECONDS = 1.0
"""What fails at the same time ends in one pause; it may put its end off by a little."""


class FleetLimits:
    """``UploadLimits`` in Redis.

    ``max_uploads`` is what this worker sends to one registry at once. ``crowded`` tells whether
    jobs wait for a place at this worker. A slot is a lease of ``lease_seconds``.
    """

    def __init__(
        self,
        registries: RegistryLimits,
        *,
        max_uploads: int,
        lease_seconds: float,
        crowded: Callable[[], bool],
    ) -> None:
        self._registries = registries
        self._lease_seconds = lease_seconds
        self._crowded = crowded
        self._local: dict[str, asyncio.Semaphore] = defaultdict(
            lambda: asyncio.Semaphore(max_uploads)
        )
        self._failures: Counter[str] = Counter()
        self._told: dict[str, float] = {}
        """When (monotonic) the pause of a registry ends that the log tells of."""

    @asynccontextmanager
    async def slot(self, registry: str) -> AsyncIterator[None]:
        """See ``UploadLimits``.

        Raises:
            NoSlotError: the registry takes no upload now. The job should wait in the queue, and
                free its place.
        """
        patience = _Patience(registry, self._crowded)
        await self._take_local(registry, patience)
        try:
            token = secrets.token_hex(8)
            await self._take(registry, token, patience)
            try:
                async with renewals(self._lease_seconds, lambda: self._renew(registry, token)):
                    yield
            finally:
                await self._give_back(registry, token)
            self._failures.pop(registry, None)
        finally:
            self._local[registry].release()

    async def failed(self, error: RegistryError) -> None:
        if error.registry is None or not is_outage(error):
            return
        self._failures[error.registry] += 1
        silent = isinstance(error, RegistryTimeoutError)
        if asks_for_a_pause(error) or silent or self._failures[error.registry] >= _FAILURES:
            await self.leave_alone(error)

    async def leave_alone(self, error: RegistryError) -> None:
        """Stop the fleet from using the registry that failed, for as long as it asked for."""
        registry = error.registry or ""
        asked = min(error.retry_after, LONGEST_ASKED) if error.retry_after else None
        try:
            lasts = await self._registries.pause(registry, str(error), asked, kind=error.kind)
        except RedisUnavailableError as failure:
            logger.warning("%s", failure)
        else:
            self._tell(registry, lasts, error)

    def _tell(self, registry: str, lasts: float, error: RegistryError) -> None:
        """Log a pause once, however many requests fail at its beginning."""
        ends = asyncio.get_running_loop().time() + lasts
        if ends > self._told.get(registry, 0.0) + _SAME_PAUSE_SECONDS:
            self._told[registry] = ends
            logger.warning("%s is left alone for %.1f s: %s", registry, lasts, error)

    async def _take_local(self, registry: str, patience: "_Patience") -> None:
        while True:
            try:
                async with asyncio.timeout(_PATIENCE_SECONDS):
                    await self._local[registry].acquire()
                    return
            except TimeoutError:
                patience.check()

    async def _take(self, registry: str, token: str, patience: "_Patience") -> None:
        try:
            while delay := await self._registries.take_slot(registry, token, self._lease_seconds):
                if delay < 0:
                    raise NoSlotError(f"{registry} is paused")
                patience.check()
                await asyncio.sleep(delay * random.uniform(0.5, 1.5))
        except RedisUnavailableError as error:
            # Redis may be full. Pushing too much at once is better than not pushing.
            logger.warning("the limit of uploads to %s cannot be asked for: %s", registry, error)

    async def _renew(self, registry: str, token: str) -> None:
        try:
            await self._registries.take_slot(registry, token, self._lease_seconds)
        except RedisUnavailableError as error:
            logger.warning("the slot at %s is not renewed: %s", registry, error)

    async def _give_back(self, registry: str, token: str) -> None:
        try:
            await self._registries.give_slot_back(registry, token)
        except RedisUnavailableError as error:
            logger.warning("the slot at %s will run out by itself: %s", registry, error)


class _Patience:
    """Ends for a job that has waited for some time while others want its place."""

    def __init__(self, registry: str, crowded: Callable[[], bool]) -> None:
        self._registry = registry
        self._crowded = crowded
        self._loop = asyncio.get_running_loop()
        self._ends = self._loop.time() + _PATIENCE_SECONDS

    def check(self) -> None:
        """Raises NoSlotError once it has ended."""
        if self._loop.time() >= self._ends and self._crowded():
            raise NoSlotError(f"{self._registry} has no upload slot free")
