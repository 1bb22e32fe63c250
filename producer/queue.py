"""The queue for pipelines: enqueue jobs and follow them."""

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Self, Unpack

from producer.gone_sources import GoneSources
from producer.job_description import PushOptions, check_start, describe_push
from producer.queue_reader import QueueReader
from producer.same_job import check_same
from push_queue.jobs.arq_queue import ArqQueue
from push_queue.models.job import Compression, Priority, PushJob
from push_queue.models.job_status import JobState, JobStatus
from push_queue.redis.connection import connect
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.redis.retries import RIDE_OUT_SECONDS
from push_queue.settings import Settings, load_settings
from push_queue.traces import enqueueing

if TYPE_CHECKING:
    from arq.connections import ArqRedis

SENT_AT_ONCE = 200
"""Jobs to enqueue in one round trip, so that commands of others get their turn."""


class PushQueue(QueueReader):
    """Enqueue pushes and follow them.

    ::

        async with PushQueue.connect() as queue:
            job = await queue.enqueue("/images/app.tar", "localhost:15000/app:1")
            job = await queue.wait(job.id, timeout=600)
            print(job.state, job.digest)

    Every method raises :class:`RedisUnavailableError` when Redis fails, and
    :class:`UnknownJobError` for an id that names no job.
    """

    def __init__(self, redis: "ArqRedis", settings: Settings) -> None:
        database = Database(
            redis,
            Keys(settings.namespace),
            settings.keep_finished_seconds,
            settings.fair_share_by,
        )
        super().__init__(database, settings.registry_max_uploads)
        self._settings = settings
        self._gone_sources = GoneSources(settings)
        self._arq_queue = ArqQueue(database)

    @classmethod
    @asynccontextmanager
    async def connect(
        cls, settings: Settings | None = None, *, ride_out: float = RIDE_OUT_SECONDS
    ) -> AsyncIterator[Self]:
        """Connect to Redis; the settings come from the environment unless given.

        ``load_settings(redis_url="redis://…")`` makes some for another Redis.

        Later commands wait up to ``ride_out`` seconds for a Redis that is down.

        Raises:
            InvalidSettingsError: naming the variable.
            RedisUnavailableError: within three seconds.
        """
        settings = settings or load_settings()
        async with await connect(settings, ride_out) as redis:
            yield cls(redis, settings)

    async def enqueue(
        self,
        source: str | Path,
        targets: str | Iterable[str],
        *,
        job_id: str | None = None,
        image: str | None = None,
        platform: str | None = None,
        compression: Compression = "gzip",
        priority: Priority = "normal",
        not_before: datetime | timedelta | None = None,
        max_attempts: int | None = None,
        give_up_after: timedelta | None = None,
        ordered: bool = True,
        cleanup: bool = False,
        labels: Mapping[str, str] | None = None,
    ) -> JobStatus:
        """Enqueue the push of an image tar; returns once Redis has it.

        Args:
            source: path of the tar as the workers see it, or its URL. It need not exist here; a
                relative path is taken from the current folder.
            targets: one or more ``registry/repository:tag``.
            job_id: your own id. Enqueueing the same job again returns the existing one, even if it
                has failed: ``retry`` runs it again.
            image: which image of a tar that holds several, by its tag or digest there.
            platform: ``os/architecture[/variant]``, to push the image for it alone; without it an
                index is pushed with all its platforms.
            compression: of layers that are not compressed: ``gzip``, ``zstd``, or ``keep`` them.
            priority: of jobs enqueued within the same quarter of an hour, ``high`` go first.
            not_before: when to start, a moment with its time zone or the time from now on; at once
                if not given.
            max_attempts: tries before the job fails; the setting if not given.
            give_up_after: how long to keep trying registries that are down, which uses up no
                attempt; the workers' setting if not given.
            ordered: whether to leave a tag alone that a job enqueued later has written.
            cleanup: whether the worker deletes the source after success.

        Raises:
            registry_api_v2_client.ValidationError: a target is not a reference to push to,
                or ``platform`` is not a platform.
            JobConflictError: the id is that of a job that is not the same, labels apart, or of a
                newer release.
            InvalidJobError: the rest cannot make a job.
        """
        job = self.describe(
            source,
            targets,
            job_id=job_id,
            image=image,
            platform=platform,
            compression=compression,
            priority=priority,
            max_attempts=max_attempts,
            give_up_after=give_up_after,
            ordered=ordered,
            cleanup=cleanup,
            labels=labels,
        )
        return await self.submit(job, not_before=not_before)

    async def submit(
        self, job: PushJob, *, not_before: datetime | timedelta | None = None
    ) -> JobStatus:
        """Enqueue a job that is made already; see ``enqueue``."""
        check_start(not_before)
        with enqueueing(1) as traceparent:
            status, created = await self._jobs.create(
                job, not_before=not_before, traceparent=traceparent
            )
        return status if created else await self._enqueued_before(job, status)

    def describe(
        self, source: str | Path, targets: str | Iterable[str], **options: Unpack[PushOptions]
    ) -> PushJob:
        """The job that ``enqueue`` would make, for ``enqueue_many``; Redis is not asked.

        Raises:
            registry_api_v2_client.ValidationError, InvalidJobError: as ``enqueue`` does.
        """
        return describe_push(source, targets, self._settings, **options)

    async def enqueue_many(
        self,
        jobs: Iterable[PushJob],
        *,
        not_before: datetime | timedelta | None = None,
        caller: str | None = None,
        traceparent: str | None = None,
    ) -> list[JobStatus]:
        """Enqueue jobs that ``describe`` made, in this order, hundreds in one round trip.

        ``caller`` is kept in the new ones as ``enqueued_by``, and ``traceparent``, by default that
        of the current span, with them.

        After an error some may be enqueued. The same call enqueues the rest: existing jobs stay as
        they are.

        Raises:
            JobConflictError: as for ``enqueue``.
        """
        check_start(not_before)
        statuses: list[JobStatus] = []
        waiting = iter(jobs)
        while batch := list(islice(waiting, SENT_AT_ONCE)):
            with enqueueing(len(batch)) as span:
                answers = await self._jobs.create_all(
                    batch, not_before=not_before, caller=caller, traceparent=traceparent or span
                )
            statuses += [
                status if created else await self._enqueued_before(job, status)
                for job, (status, created) in zip(batch, answers, strict=True)
            ]
        return statuses

    async def cancel(self, job_id: str, *, caller: str | None = None) -> JobState:
        """Cancel a waiting job at once, or ask the worker of a running one to stop.

        Returns the state it is in now; a final job stays as it is. ``caller`` is kept in the job as
        ``cancelled_by``.
        """
        return await self._jobs.cancel(job_id, caller=caller)

    async def retry(self, job_id: str, *, caller: str | None = None) -> JobStatus:
        """Enqueue a final job again, with all its attempts; another one stays as it is.

        ``caller`` is kept in the job as ``retried_by``.

        Raises:
            SourceGoneError: its source is deleted, as far as can be told here.
        """
        await self._gone_sources.check(await self.status(job_id))
        return await self._jobs.requeue(job_id, caller=caller)

    async def with_source(self, jobs: Sequence[JobStatus]) -> tuple[JobStatus, ...]:
        """Those of the jobs whose source is not deleted, as far as can be told here."""
        return await self._gone_sources.without(jobs)

    async def _enqueued_before(self, job: PushJob, status: JobStatus) -> JobStatus:
        check_same(status.job, job)
        if status.state is JobState.QUEUED:
            await self._arq_queue.hand_over(status)
        return status
