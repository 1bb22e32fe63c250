"""What whoever runs the queue does with it, besides enqueueing jobs."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self, Unpack

from producer.bulk import BulkAction, BulkChanges, BulkOptions
from producer.queue import PushQueue
from push_queue.job_filter import JobFilter
from push_queue.models import JobsPage, RegistryInfo, WorkerInfo
from push_queue.queue_stats import QueueFigures, QueueStats
from push_queue.settings import Settings


class Operator:
    """Looks after a queue in Redis.

    Every method raises :class:`RedisUnavailableError` when Redis fails.
    """

    def __init__(self, queue: PushQueue) -> None:
        self.queue = queue
        self._bulk = BulkChanges(queue)
        self._figures = QueueFigures(queue.database)

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: Settings) -> AsyncIterator[Self]:
        """The operator of the queue of these settings; raises as ``PushQueue.connect`` does."""
        async with PushQueue.connect(settings) as queue:
            yield cls(queue)

    async def workers(self) -> tuple[WorkerInfo, ...]:
        """The workers that are alive."""
        return await self.queue.workers()

    async def registries(self) -> tuple[RegistryInfo, ...]:
        """The registries in use, by name."""
        return await self.queue.registries()

    async def stats(self) -> QueueStats:
        """How the queue is doing."""
        return await self._figures.read()

    async def change(
        self, action: BulkAction, wanted: JobFilter, **options: Unpack[BulkOptions]
    ) -> JobsPage:
        """Change the next jobs that match; see :meth:`BulkChanges.change`."""
        return await self._bulk.change(action, wanted, **options)
