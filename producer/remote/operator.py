"""What whoever runs the queue does with it, by a server's HTTP API."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Self

from producer.api.models import RegistryList
from producer.bulk import BulkAction
from producer.remote.queue import RemoteQueue, filter_params, page_of
from producer.remote.requests import Requests, parsed
from push_queue.job_filter import JobFilter
from push_queue.models import JobsPage, RegistryInfo, WorkerInfo
from push_queue.queue_stats import QueueStats


class RemoteOperator:
    """Has the methods of ``Operator``, and raises as ``RemoteQueue`` does."""

    def __init__(self, requests: Requests) -> None:
        self.queue = RemoteQueue(requests)
        self._requests = requests

    @classmethod
    @asynccontextmanager
    async def connect(cls, server: str, token: str | None = None) -> AsyncIterator[Self]:
        """The operator of the server's queue."""
        async with Requests.to(server, token) as requests:
            yield cls(requests)

    async def workers(self) -> tuple[WorkerInfo, ...]:
        """The workers that are alive."""
        return await self.queue.workers()

    async def registries(self) -> tuple[RegistryInfo, ...]:
        """The registries in use that the caller may push to, by name."""
        return parsed(RegistryList, await self._requests.ask("GET", "registries")).registries

    async def stats(self) -> QueueStats:
        """How the queue is doing."""
        return parsed(QueueStats, await self._requests.ask("GET", "stats"))

    async def change(
        self,
        action: BulkAction,
        wanted: JobFilter,
        *,
        before: int | None = None,
        limit: int = 100,
        dry_run: bool = False,
    ) -> JobsPage:
        """Change the next jobs that match, and return them as they are then."""
        params = filter_params(wanted, before=before, limit=limit)
        if dry_run:
            params.append(("dry_run", "true"))
        # If the answer is lost, a job that was enqueued again may be over already.
        riding = action is not BulkAction.RETRY
        answer = await self._requests.ask("POST", f"jobs/{action}", params=params, riding=riding)
        return page_of(answer)
