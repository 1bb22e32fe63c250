"""What whoever runs the queue does with it, by a server's HTTP API."""

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Self

from producer.api.models.jobs import JobPage
from producer.api.models.operating import Ping, QueueState, WebhookList
from producer.api.models.service import RegistryList
from producer.bulk import BulkAction
from producer.operator import registry_named
from producer.remote.queue import RemoteQueue, as_jobs_page, filter_params
from producer.remote.requests import Model, Requests, path_part
from producer.spool.purge import PurgedUploads
from push_queue.errors import WaitTimeoutError
from push_queue.figures.stats import QueueStats
from push_queue.models.fleet import RegistryInfo, WorkerInfo
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import JobsPage
from push_queue.models.pause import Pause
from push_queue.registries.knowledge import ForgottenKnowledge
from push_queue.webhook_outbox import ForgottenWebhook, WebhookStatus


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
        return (await self._requests.ask_for(RegistryList, "GET", "registries")).registries

    async def stats(self) -> QueueStats:
        """How the queue is doing."""
        return await self._requests.ask_for(QueueStats, "GET", "stats")

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
        page = await self._requests.ask_for(
            JobPage, "POST", f"jobs/{action}", params=params, riding=riding
        )
        return as_jobs_page(page)

    async def pause(self, *, seconds: int | None = None, reason: str | None = None) -> Pause | None:
        """Have workers take no new job, for these seconds or without end; those they run go on."""
        return (await self._ask(QueueState, "queue/pause", _pause(seconds, reason))).pause

    async def resume(self) -> None:
        """Have workers take jobs again."""
        await self._ask(QueueState, "queue/resume", {})

    async def pause_registry(
        self, host: str, *, seconds: int | None = None, reason: str | None = None
    ) -> RegistryInfo:
        """Have workers begin no upload to the registry, for these seconds or without end."""
        path = f"registries/{path_part(registry_named(host))}/pause"
        return await self._ask(RegistryInfo, path, _pause(seconds, reason))

    async def resume_registry(self, host: str) -> RegistryInfo:
        """End every pause of the registry, also one that it began itself."""
        return await self._ask(
            RegistryInfo, f"registries/{path_part(registry_named(host))}/resume", {}
        )

    async def drain(self, worker_id: str) -> WorkerInfo:
        """Have the worker take no more jobs, end those that it has, and then end itself."""
        return await self._ask(WorkerInfo, f"workers/{path_part(worker_id)}/drain", {})

    async def webhooks(self) -> tuple[WebhookStatus, ...]:
        """The receivers of webhooks, by name."""
        return (await self._requests.ask_for(WebhookList, "GET", "webhooks")).webhooks

    async def ping_webhook(self, name: str) -> str:
        """Have a worker send the receiver a ping. Why it failed; empty if it arrived.

        Raises:
            WaitTimeoutError: no worker has sent it.
        """
        ping = await self._ask(Ping, f"webhooks/{path_part(name)}/ping", {})
        if ping.problem:
            raise WaitTimeoutError(ping.problem)
        return ping.failure

    async def forget_webhook(self, name: str, *, dry_run: bool = False) -> ForgottenWebhook:
        """Forget a receiver that no worker has in its settings any more, or only count."""
        path = f"webhooks/{path_part(name)}/forget"
        return await self._ask(ForgottenWebhook, path, {}, params=_dry(dry_run))

    async def forget_registry(self, host: str, *, dry_run: bool = False) -> ForgottenKnowledge:
        """Delete what is known about a registry that was emptied, or only count it."""
        path = f"registries/{path_part(registry_named(host))}/forget"
        return await self._ask(ForgottenKnowledge, path, {}, params=_dry(dry_run))

    async def purge_uploads(self, *, dry_run: bool = False) -> PurgedUploads:
        """Delete the uploads that nobody needs, or only count them."""
        return await self._ask(PurgedUploads, "uploads/purge", {}, params=_dry(dry_run))

    async def _ask(
        self, model: type[Model], path: str, body: Mapping[str, Any], **options: Any
    ) -> Model:
        return await self._requests.ask_for(model, "POST", path, json=dict(body), **options)


def _dry(dry_run: bool) -> Mapping[str, str]:
    return {"dry_run": "true"} if dry_run else {}


def _pause(seconds: int | None, reason: str | None) -> Mapping[str, Any]:
    return {"seconds": seconds, "reason": reason}
