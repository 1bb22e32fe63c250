"""Jobs, as a producer sees them: enqueue, follow, cancel, enqueue again.

Each change is a Lua script, so it is atomic.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from push_queue.errors import (
    JobConflictError,
    RedisRefusedError,
    UnknownJobError,
    UnreadableJobError,
)
from push_queue.jobs import codec
from push_queue.jobs.arq_queue import lead_ms, leads_ms
from push_queue.jobs.changes import JobChanges
from push_queue.jobs.codec import decode, flat, is_newer, pairs, parse_status, parse_whatever
from push_queue.jobs.records import JobRecords
from push_queue.models.formats import NAMES_CALLERS
from push_queue.models.job import PushJob
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import (
    FINAL_STATES,
    Attempt,
    BlobStatus,
    JobProgress,
    JobsPage,
    JobState,
    JobStatus,
)
from push_queue.redis.database import Arguments, Database

LOOKED_AT = 1000
"""Most jobs that one page looks at."""
READ_AT_ONCE = 100
_FORGOTTEN_AT_ONCE = 500


class Jobs:
    """The jobs of one namespace.

    Every method raises :class:`RedisUnavailableError` when Redis fails, and may be
    called twice: the second call finds its work done.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis
        self._keys = database.keys
        self._records = JobRecords(database)

    async def create(
        self,
        job: PushJob,
        *,
        not_before: datetime | timedelta | None = None,
        caller: str | None = None,
        traceparent: str | None = None,
    ) -> tuple[JobStatus, bool]:
        """Enqueue the job. If its id is taken, return the job that has it, and False.

        ``not_before`` is a moment, or a time from now. ``caller`` is who enqueues, and
        ``traceparent`` names the span in which that happens. Redis accepts the job whole, with all
        that arq needs to run it, or not at all.

        Raises:
            JobConflictError: the job that has the id is of a newer release, or its record is
            damaged.
        """
        answer = await self._database.run_on_job(
            "create", job.id, _creation(job, not_before, caller, traceparent)
        )
        return _created(job, answer)

    async def create_all(
        self,
        jobs: Sequence[PushJob],
        *,
        not_before: datetime | timedelta | None = None,
        caller: str | None = None,
        traceparent: str | None = None,
    ) -> list[tuple[JobStatus, bool]]:
        """``create`` each of the jobs, in this order and in one round trip.

        Raises:
            JobConflictError: as for ``create``; the other jobs are enqueued.
        """
        calls = [(job.id, _creation(job, not_before, caller, traceparent)) for job in jobs]
        answers = await self._database.run_on_jobs("create", calls)
        return [_created(job, answer) for job, answer in zip(jobs, answers, strict=True)]

    async def cancel(self, job_id: str, *, caller: str | None = None) -> JobState:
        """Cancel a waiting job at once, or ask the worker of a running one to stop.

        ``caller`` is who asks for it. Returns the job's state. A final job stays as it is.

        Raises:
            UnknownJobError: no such job.
        """
        try:
            state = await self._records.run("cancel", job_id, _signed(caller))
        except UnreadableJobError:
            return JobState.FAILED
        if state is None:
            raise UnknownJobError(job_id)
        return JobState(state.decode())

    async def requeue(self, job_id: str, *, caller: str | None = None) -> JobStatus:
        """Enqueue a final job again, as a new generation. Any other job stays as it is.

        ``caller`` is who asks for it.

        Raises:
            UnknownJobError: no such job.
            UnreadableJobError: its key holds something other than a hash.
        """
        arguments = [*_signed(caller), *leads_ms()]
        return _known(job_id, pairs(await self._records.run("requeue", job_id, arguments)))

    async def cancel_all(self, job_ids: Sequence[str], *, caller: str | None = None) -> None:
        """``cancel`` those of the jobs that are there, in one round trip."""
        await self._change_all("cancel", job_ids, _signed(caller))

    async def requeue_all(self, job_ids: Sequence[str], *, caller: str | None = None) -> None:
        """``requeue`` those of the jobs that are there and can be read, in one round trip."""
        await self._change_all("requeue", job_ids, [*_signed(caller), *leads_ms()])

    async def purge_all(self, job_ids: Sequence[str], *, caller: str | None = None) -> None:
        """Forget those of the jobs that are final, in one round trip. ``caller`` is not kept."""
        await self._change_all("purge", job_ids, [])

    async def forget_expired(self) -> int:
        """Take finished jobs whose records have expired out of the indexes.

        Returns how many there were, of a bounded number.
        """
        keys = [
            self._keys.finished,
            self._keys.jobs,
            *(self._keys.jobs_in(state) for state in FINAL_STATES),
        ]
        count: int = await self._database.run("plain/forget_expired", keys, [_FORGOTTEN_AT_ONCE])
        return count

    async def status(self, job_id: str) -> JobStatus:
        """The job and its progress.

        Raises:
            UnknownJobError: no such job.
        """
        (fields,) = await self._records.read([job_id])
        return _known(job_id, fields)

    async def statuses(
        self, state: JobState | None = None, *, limit: int = 50, offset: int = 0
    ) -> list[JobStatus]:
        """A page of jobs, the last enqueued first."""
        index = self._keys.jobs_in(state) if state else self._keys.jobs
        members = await self._database.ask(self._redis.zrevrange(index, offset, offset + limit - 1))
        ids = [member.decode() for member in members]
        hashes = zip(ids, await self._records.read(ids), strict=True)
        # An expired job is in the indexes for a moment yet.
        return [parse_whatever(job_id, fields) for job_id, fields in hashes if fields]

    async def look_up(self, job_ids: Sequence[str]) -> dict[str, JobStatus]:
        """Those of the jobs that are there, by id."""
        hashes = zip(job_ids, await self._records.read(job_ids), strict=True)
        return {job_id: parse_whatever(job_id, fields) for job_id, fields in hashes if fields}

    async def find(
        self,
        wanted: JobFilter,
        *,
        before: int | None = None,
        limit: int = 50,
        among: Callable[[JobStatus], bool] | None = None,
    ) -> JobsPage:
        """Jobs that match, the last enqueued first; ``before`` is where the last page ended.

        Looks at a bounded number of jobs, so a page may have few or no matches. Jobs that are
        enqueued meanwhile do not shift the pages. None are found but ``among`` those for which it
        is true.
        """
        index = self._keys.jobs_in(wanted.state) if wanted.state else self._keys.jobs
        found: list[JobStatus] = []
        for _ in range(LOOKED_AT // READ_AT_ONCE):
            newest = "+inf" if before is None else f"({before}"
            places = await self._database.ask(
                self._redis.zrevrangebyscore(
                    index, newest, wanted.oldest, start=0, num=READ_AT_ONCE, withscores=True
                )
            )
            ids = [member.decode() for member, _ in places]
            hashes = await self._records.read(ids)
            for job_id, (_, sequence), fields in zip(ids, places, hashes, strict=True):
                before = int(sequence)
                # An expired job is in the indexes for a moment yet.
                if not fields or not wanted.fits(status := parse_whatever(job_id, fields)):
                    continue
                if among is None or among(status):
                    found.append(status)
                if len(found) == limit:
                    return JobsPage(jobs=tuple(found), next=before)
            if len(places) < READ_AT_ONCE:
                return JobsPage(jobs=tuple(found), next=None)
        return JobsPage(jobs=tuple(found), next=before)

    async def running(self, most: int) -> tuple[JobProgress, ...]:
        """How far the running jobs are, the last enqueued first.

        Records that make no sense are left out.
        """
        running = self._keys.jobs_in(JobState.RUNNING)
        members = await self._database.ask(self._redis.zrevrange(running, 0, most - 1))
        ids = [member.decode() for member in members]
        async with self._database.pipeline() as pipeline:
            for job_id in ids:
                pipeline.hmget(self._keys.job(job_id), list(codec.PROGRESS_FIELDS))
            records = await pipeline.execute(raise_on_error=False)
        return tuple(codec.parse_progress(zip(ids, records, strict=True)))

    async def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        async with self._database.pipeline() as pipeline:
            for state in JobState:
                pipeline.zcard(self._keys.jobs_in(state))
            return dict(zip(JobState, await pipeline.execute(), strict=True))

    async def blobs(self, job_id: str) -> tuple[BlobStatus, ...]:
        """The blobs that the latest attempt has reported."""
        fields = await self._database.ask(self._redis.hgetall(self._keys.blobs(job_id)))
        return tuple(codec.parse_blobs(decode(fields)))

    async def attempts(self, job_id: str) -> list[Attempt]:
        """The attempts that have ended, the oldest first, also those before a ``requeue``."""
        items = await self._database.ask(self._redis.lrange(self._keys.attempts(job_id), 0, -1))
        return list(codec.parse_attempts(items))

    async def _change_all(self, name: str, job_ids: Sequence[str], arguments: Arguments) -> None:
        try:
            await self._database.run_on_jobs(name, [(job_id, arguments) for job_id in job_ids])
        except RedisRefusedError:
            # All others have been changed, unless Redis refuses for another reason.
            damaged = [await self._records.end_if_unreadable(job_id) for job_id in job_ids]
            if not any(damaged):
                raise

    def changes(self, *job_ids: str) -> JobChanges:
        """A subscription to these jobs, or to all of them if none is named."""
        return JobChanges(self._database, job_ids)


def _known(job_id: str, fields: Mapping[str, str]) -> JobStatus:
    if not fields:
        raise UnknownJobError(job_id)
    return parse_whatever(job_id, fields)


def _creation(
    job: PushJob,
    not_before: datetime | timedelta | None,
    caller: str | None,
    traceparent: str | None,
) -> Arguments:
    """What ``create.lua`` takes."""
    moment = _ms(not_before.timestamp()) if isinstance(not_before, datetime) else 0
    delay = _ms(not_before.total_seconds()) if isinstance(not_before, timedelta) else 0
    return [
        moment,
        delay,
        lead_ms(job.priority),
        *flat(codec.fields_of(job, caller, traceparent)),
    ]


def _signed(caller: str | None) -> Arguments:
    """Who asks for a change, and the format of jobs that say so."""
    return [caller or "", NAMES_CALLERS]


def _created(job: PushJob, answer: list[Any]) -> tuple[JobStatus, bool]:
    """What ``create.lua`` gives back."""
    created, *items = answer
    fields = pairs(items) or codec.NO_HASH
    if not created and is_newer(fields):
        raise JobConflictError(f"job {job.id} exists, enqueued by a newer release; use another id")
    try:
        return parse_status(fields), bool(created)
    except UnreadableJobError as error:
        raise JobConflictError(
            f"job {job.id} exists, but its record cannot be read ({error}); use another id"
        ) from None


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
