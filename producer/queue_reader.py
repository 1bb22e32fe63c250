"""What can be asked of a queue."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import aclosing

from producer.watching import watch_jobs
from push_queue.errors import UnknownJobError, WaitTimeoutError
from push_queue.figures.throughput import Minute, Throughput
from push_queue.jobs.events import JobEvents, PlacedEvent, Position
from push_queue.jobs.sources import JobSources
from push_queue.jobs.store import Jobs
from push_queue.models.fleet import RegistryInfo, WorkerInfo
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import (
    Attempt,
    BlobStatus,
    JobProgress,
    JobsPage,
    JobState,
    JobStatus,
)
from push_queue.models.pause import Pause
from push_queue.pauses import Pauses
from push_queue.redis.database import Database
from push_queue.registries.limits import RegistryLimits
from push_queue.worker_roster import WorkerRoster

MOST_RUNNING = 1000
"""How many running jobs are read for their registries."""


class QueueReader:
    """Reads jobs, and what workers and registries do with them. Nothing here changes anything."""

    def __init__(self, database: Database, registry_max_uploads: int) -> None:
        self._database = database
        self._jobs = Jobs(database)
        self._events = JobEvents(database)
        self._sources = JobSources(database)
        self._workers = WorkerRoster(database)
        self._limits = RegistryLimits(database, registry_max_uploads)
        self._pauses = Pauses(database)
        self._throughput = Throughput(database)

    async def status(self, job_id: str) -> JobStatus:
        """The job and its progress."""
        return await self._jobs.status(job_id)

    async def blobs(self, job_id: str) -> tuple[BlobStatus, ...]:
        """The progress of each blob of the job."""
        return await self._jobs.blobs(job_id)

    async def attempts(self, job_id: str) -> list[Attempt]:
        """The attempts that ended, oldest first."""
        return await self._jobs.attempts(job_id)

    async def running(self, most: int = 500) -> tuple[JobProgress, ...]:
        """The progress of the running jobs, the last enqueued first."""
        return await self._jobs.running(most)

    async def wait(self, job_id: str, timeout: float | None = None) -> JobStatus:
        """Wait until the job is final.

        Raises:
            WaitTimeoutError: it was not after ``timeout`` seconds; it goes on.
        """
        try:
            async with asyncio.timeout(timeout), aclosing(self.watch(job_id)) as changes:
                async for status in changes:
                    if status.state.final:
                        return status
        except TimeoutError:
            raise WaitTimeoutError(f"job {job_id} did not finish within {timeout:g} s") from None
        raise UnknownJobError(job_id)

    def watch(self, *job_ids: str) -> AsyncGenerator[JobStatus, None]:
        """Every job's status now and at each change, until all of them are final.

        Without ids: of all jobs that run, wait for a retry or were queued recently, without end.
        """
        return watch_jobs(self._jobs, *job_ids)

    async def list(
        self, state: JobState | None = None, *, limit: int = 50, offset: int = 0
    ) -> tuple[JobStatus, ...]:
        """A page of jobs, the last enqueued first."""
        return tuple(await self._jobs.statuses(state, limit=limit, offset=offset))

    async def look_up(self, job_ids: Iterable[str]) -> dict[str, JobStatus]:
        """Those of the jobs that are there, by id."""
        return await self._jobs.look_up(tuple(job_ids))

    async def find(
        self,
        wanted: JobFilter,
        *,
        before: int | None = None,
        limit: int = 50,
        among: Callable[[JobStatus], bool] | None = None,
    ) -> JobsPage:
        """Jobs that match, the last enqueued first; ``before`` is ``next`` of the page before.

        A page may have fewer jobs than ``limit``, even none: go on until ``next`` is None. Jobs
        that are enqueued meanwhile do not shift the pages. ``among`` says which jobs are to be
        known at all.
        """
        return await self._jobs.find(wanted, before=before, limit=limit, among=among)

    async def needed_sources(self, sources: Iterable[str]) -> frozenset[str]:
        """Which of the sources unfinished jobs name."""
        return await self._sources.needed(tuple(sources))

    async def workers(self) -> tuple[WorkerInfo, ...]:
        """The workers that are alive."""
        return tuple(await self._workers.alive())

    async def registries(self) -> tuple[RegistryInfo, ...]:
        """Those that running jobs push to or jobs wait for, and those that are paused, by name."""
        running = await self._jobs.statuses(JobState.RUNNING, limit=MOST_RUNNING)
        used = {target.partition("/")[0] for job in running for target in job.targets}
        names = sorted(used | await self._limits.held_back())
        return tuple(await self._limits.look_at(names))

    async def registry(self, name: str) -> RegistryInfo:
        """How much the registry of this host is used now."""
        (found,) = await self._limits.look_at([name])
        return found

    async def paused(self) -> Pause | None:
        """The pause of the whole queue that a person has set, if there is one."""
        return await self._pauses.of_queue()

    async def throughput(self) -> tuple[Minute, ...]:
        """What all workers have done in the last hour, minute by minute, the oldest first."""
        return await self._throughput.last_hour()

    async def first_event(self) -> Position:
        """The place of the oldest change of state that is still kept."""
        return await self._events.first()

    async def last_event(self) -> Position:
        """The place of the latest change of state."""
        return await self._events.last()

    async def events(
        self, after: Position, *, limit: int = 500, wait: float = 0
    ) -> tuple[tuple[PlacedEvent, ...], Position]:
        """The next changes of state of any job, oldest first, and the place to continue from.

        If there are none yet, waits up to ``wait`` seconds for one.
        """
        return await self._events.after(after, limit=limit, wait=wait)

    @property
    def database(self) -> Database:
        """The connection, for what else a program keeps in this Redis."""
        return self._database

    async def ping(self) -> None:
        """Check that Redis answers."""
        await self._database.ping()
