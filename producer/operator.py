"""What whoever runs the queue does with it, besides enqueueing jobs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Self, Unpack

from producer.bulk import BulkAction, BulkChanges, BulkOptions
from producer.errors import NoSpoolError
from producer.queue import PushQueue
from producer.spool.purge import PurgedUploads, purge_uploads
from producer.spool.spool import Spool
from push_queue.errors import (
    OldWorkerError,
    UnknownWebhookError,
    UnknownWorkerError,
    WaitTimeoutError,
)
from push_queue.figures.stats import QueueFigures, QueueStats
from push_queue.models.fleet import RegistryInfo, WorkerInfo, WorkerState
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import JobsPage
from push_queue.models.pause import WHOLE_QUEUE, Pause
from push_queue.pauses import Pauses
from push_queue.registries.knowledge import ForgottenKnowledge, RegistryKnowledge
from push_queue.settings import Settings
from push_queue.webhook_outbox import ForgottenWebhook, WebhookOutbox, WebhookStatus
from push_queue.worker_roster import WorkerRoster
from registry_api_v2_client.exceptions import ValidationError
from registry_api_v2_client.reference import parse_reference

PING_SECONDS = 75.0
"""A receiver may have a minute to answer, and its worker looks for pings every second."""
_LOOK_SECONDS = 0.1
_ANY_REPOSITORY = "any/repository"
"""Of two parts: one that has only one is below ``library/`` at Docker Hub."""


class Operator:
    """Looks after a queue in Redis.

    Every method raises :class:`RedisUnavailableError` when Redis fails.
    """

    def __init__(
        self, queue: PushQueue, find_spool: Callable[[], Spool | None] = lambda: None
    ) -> None:
        self.queue = queue
        self._find_spool = find_spool
        self._knowledge = RegistryKnowledge(queue.database)
        self._pauses = Pauses(queue.database)
        self._roster = WorkerRoster(queue.database)
        self._bulk = BulkChanges(queue)
        self._figures = QueueFigures(queue.database)
        self._webhooks = WebhookOutbox(queue.database)

    @classmethod
    @asynccontextmanager
    async def connect(cls, settings: Settings) -> AsyncIterator[Self]:
        """The operator of the queue of these settings; raises as ``PushQueue.connect`` does."""
        async with PushQueue.connect(settings) as queue:
            yield cls(queue, partial(Spool.of, settings))

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

    async def pause(
        self, *, seconds: int | None = None, reason: str | None = None, caller: str | None = None
    ) -> Pause:
        """Have workers take no new job, for these seconds or without end; those they run go on."""
        return await self._pauses.pause(WHOLE_QUEUE, seconds=seconds, reason=reason, by=caller)

    async def resume(self) -> None:
        """Have workers take jobs again."""
        await self._pauses.resume(WHOLE_QUEUE)

    async def pause_registry(
        self,
        host: str,
        *,
        seconds: int | None = None,
        reason: str | None = None,
        caller: str | None = None,
    ) -> RegistryInfo:
        """Have workers begin no upload to the registry, for these seconds or without end.

        Raises:
            ValidationError: it is no host of a registry.
        """
        registry = registry_named(host)
        await self._pauses.pause(registry, seconds=seconds, reason=reason, by=caller)
        return await self.queue.registry(registry)

    async def resume_registry(self, host: str) -> RegistryInfo:
        """End every pause of the registry, also one that it began itself.

        Raises:
            ValidationError: it is no host of a registry.
        """
        registry = registry_named(host)
        await self._pauses.resume(registry)
        return await self.queue.registry(registry)

    async def drain(self, worker_id: str, *, caller: str | None = None) -> WorkerInfo:
        """Have the worker take no more jobs, end those that it has, and then end itself.

        Raises:
            UnknownWorkerError: no such worker is alive.
            OldWorkerError: it would not heed that.
        """
        worker = await self._worker(worker_id)
        if not worker.heeds:
            raise OldWorkerError(
                f"worker {worker_id} of release {worker.version} cannot be drained; "
                "end it by SIGTERM"
            )
        await self._roster.drain(worker_id, by=caller)
        # It may have ended already.
        return worker.model_copy(update={"state": WorkerState.DRAINING})

    async def webhooks(self) -> tuple[WebhookStatus, ...]:
        """The receivers of webhooks, by name."""
        return await self._webhooks.statuses()

    async def ping_webhook(self, name: str) -> str:
        """Have a worker send the receiver a ping. Why it failed; empty if it arrived.

        Raises:
            UnknownWebhookError: no worker has such a receiver in its settings.
            WaitTimeoutError: no worker has sent it.
        """
        await self._check_webhook(name)
        token = await self._webhooks.ask_for_ping(name)
        try:
            async with asyncio.timeout(PING_SECONDS):
                return await self._ping_answer(name, token)
        except TimeoutError:
            raise WaitTimeoutError(
                f"no worker has sent the ping to {name}; are there any with it in "
                "PUSH_QUEUE_WEBHOOKS? See `push-queue workers`"
            ) from None

    async def forget_registry(self, host: str, *, dry_run: bool = False) -> ForgottenKnowledge:
        """Delete what is known about a registry that was emptied, or only count it.

        Raises:
            ValidationError: it is no host of a registry.
        """
        return await self._knowledge.forget(registry_named(host), dry_run=dry_run)

    async def purge_uploads(self, *, dry_run: bool = False) -> PurgedUploads:
        """Delete the uploads that nobody needs, or only count them.

        Raises:
            NoSpoolError: there is no spool here.
            CannotStartError: it cannot be used.
        """
        spool = self._find_spool()
        if spool is None:
            raise NoSpoolError(
                "there is no spool here: set PUSH_QUEUE_SPOOL, or use the server that has it"
            )
        return await purge_uploads(spool, self.queue, dry_run=dry_run)

    async def forget_webhook(self, name: str, *, dry_run: bool = False) -> ForgottenWebhook:
        """Forget a receiver that no worker has in its settings any more, or only count.

        Raises:
            UnknownWebhookError: it is not known.
            WebhookInUseError: a worker has it.
        """
        await self._check_webhook(name)
        return ForgottenWebhook(events=await self._webhooks.forget(name, dry_run=dry_run))

    async def _check_webhook(self, name: str) -> None:
        known = [receiver.name for receiver in await self.webhooks()]
        if name not in known:
            raise UnknownWebhookError(name, known)

    async def _ping_answer(self, name: str, token: str) -> str:
        while True:
            failure = await self._webhooks.ping_answer(name, token)
            if failure is not None:
                return failure
            await asyncio.sleep(_LOOK_SECONDS)

    async def _worker(self, worker_id: str) -> WorkerInfo:
        for worker in await self.queue.workers():
            if worker.id == worker_id:
                return worker
        raise UnknownWorkerError(worker_id)


def registry_named(host: str) -> str:
    """The registry as references name it.

    Raises:
        ValidationError: it is no host of a registry.
    """
    try:
        reference = parse_reference(f"{host}/{_ANY_REPOSITORY}:tag")
    except ValidationError:
        reference = None
    # A name that can be no host would be a part of the repository.
    if reference is None or reference.repository != _ANY_REPOSITORY:
        raise ValidationError(
            f"{host!r} is no host of a registry, such as reg.example.com or localhost:5000"
        )
    return reference.registry
