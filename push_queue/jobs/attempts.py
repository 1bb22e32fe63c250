"""Attempts at jobs: a worker starts one, reports its progress, and says how it ended.

Changes are fenced. Each start of a job hands out a higher number; a worker with an older number
changes nothing and is told so.
"""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence

from push_queue.errors import UnreadableJobError
from push_queue.jobs import codec
from push_queue.jobs.codec import flat, one_line, pairs, parse_status
from push_queue.jobs.records import JobRecords
from push_queue.models import formats
from push_queue.models.assignments import Assignment, Signal, Wait
from push_queue.models.job_status import BlobStatus, JobState, Outcome
from push_queue.redis.database import Arguments, Database
from push_queue.settings import DAY_SECONDS, LEASE_SECONDS, REGISTRY_MAX_UPLOADS


class Attempts:
    """The attempts at the jobs of one namespace.

    Every method raises :class:`RedisUnavailableError` when Redis fails, and may be
    called twice: the second call finds its work done.
    """

    def __init__(
        self,
        database: Database,
        *,
        registry_max_uploads: int = REGISTRY_MAX_UPLOADS,
        lease_seconds: int = LEASE_SECONDS,
        give_up_after: int = DAY_SECONDS,
    ) -> None:
        self._database = database
        self._redis = database.redis
        self._keys = database.keys
        self._records = JobRecords(database)
        self._registry_max_uploads = registry_max_uploads
        self._lease_seconds = lease_seconds
        self._give_up_after = give_up_after

    async def start(
        self, job_id: str, generation: int, worker: str, place: int = 0
    ) -> Assignment | Wait | None:
        """Begin an attempt, or return how long to wait before asking again.

        ``place`` is the job's score in arq's queue. A job that this worker does not understand is
        left there for a newer one.

        Returns None if there is nothing to run. The job is unknown, final, or of another
        generation. Or it ends now: ``cancelled`` on request, ``superseded`` at all its targets, or
        ``failed``. It fails with ``worker_lost`` after all its workers have died, with the error of
        a registry that was down for too long, or with ``invalid_job`` if its record cannot be read.
        """
        token = secrets.token_hex(4)
        arguments: Arguments = [
            generation,
            worker,
            token,
            self._registry_max_uploads,
            self._lease_seconds,
            self._give_up_after,
            formats.FORMAT,
            place,
            int(1000 * min(self._database.steady_seconds, self._lease_seconds)),
        ]
        try:
            answer = await self._records.run("start", job_id, arguments)
        except UnreadableJobError:
            return None
        match answer:
            case []:
                return None
            case [b"wait", milliseconds]:
                return Wait(milliseconds / 1000)
            case [b"invalid", damage]:
                await self._records.invalidate(job_id, damage.decode())
                return None
        _, targets, *items = answer
        try:
            return _assignment(json.loads(targets), pairs(items))
        except UnreadableJobError as error:
            await self._records.invalidate(job_id, str(error))
            return None

    async def heartbeat(self, assignment: Assignment) -> Signal:
        """Ask whether to continue the job."""
        fields = ["state", "fence", "cancel_requested"]
        state, fence, cancel = await self._database.ask(
            self._redis.hmget(self._keys.job(assignment.job.id), fields)
        )
        if (state, fence) != (JobState.RUNNING.encode(), b"%d" % assignment.fence):
            return Signal.LOST
        return Signal.CANCEL if cancel else Signal.CONTINUE

    async def progress(
        self,
        assignment: Assignment,
        *,
        bytes_done: int,
        bytes_total: int,
        blobs_done: int,
        blobs_total: int,
        bytes_sent: int = 0,
        bytes_saved: int = 0,
        bytes_per_second: int = 0,
        seconds_left: int | None = None,
        blobs: Iterable[BlobStatus] = (),
    ) -> Signal:
        """Record and publish the attempt's progress; ``blobs`` are those that changed.

        ``bytes_sent`` are those of this attempt. The job counts them over all attempts.
        """
        arguments: Arguments = [
            assignment.fence,
            bytes_done,
            bytes_total,
            blobs_done,
            blobs_total,
            assignment.bytes_sent + bytes_sent,
            bytes_saved,
            bytes_per_second,
            "" if seconds_left is None else seconds_left,
            *flat(codec.blob_fields(blobs)),
        ]
        answer = await self._database.run_on_job("progress", assignment.job.id, arguments)
        return Signal(answer.decode())

    async def succeed(
        self,
        assignment: Assignment,
        digest: str,
        notes: Sequence[str] = (),
        cleanup_outcome: str | None = None,
    ) -> JobState | None:
        """The attempt succeeded. ``digest`` is the manifest's.

        The job is ``succeeded`` now. It is ``superseded`` if newer jobs have written all its tags,
        and ``queued`` if some of its targets could not be tried yet.

        Every end of an attempt returns the job's new state. It returns None and changes nothing if
        the job is no longer this worker's.
        """
        fields = {"digest": digest}
        if notes:
            fields["notes"] = json.dumps(notes, ensure_ascii=False)
        if cleanup_outcome:
            fields["cleanup_outcome"] = cleanup_outcome
        return await self._settle(assignment, JobState.SUCCEEDED, Outcome.SUCCEEDED, fields=fields)

    async def fail(
        self, assignment: Assignment, error: str, error_kind: str, *, answered: str = ""
    ) -> JobState | None:
        """The job failed for good. ``answered`` is the registry that caused it, if one did.

        If some of its targets could not be tried yet, it is ``queued`` for them first, and fails
        afterwards.
        """
        return await self._settle(
            assignment, JobState.FAILED, Outcome.FAILED, error, error_kind, registry=answered
        )

    async def retry(
        self,
        assignment: Assignment,
        error: str,
        error_kind: str,
        delay: float,
        *,
        answered: str = "",
    ) -> JobState | None:
        """The attempt failed, and the next one starts in ``delay`` seconds. The caller counts them.

        ``retry``, ``defer`` and ``release`` cancel the job if its user has asked for that.
        ``answered`` is as for ``fail``.
        """
        return await self._settle(
            assignment,
            JobState.RETRYING,
            Outcome.FAILED,
            error,
            error_kind,
            delay,
            registry=answered,
        )

    async def defer(
        self,
        assignment: Assignment,
        reason: str,
        delay: float,
        *,
        error_kind: str = "",
        registry: str = "",
    ) -> JobState | None:
        """Postpone the attempt by ``delay`` seconds. It does not count.

        A given ``error_kind`` means that ``registry`` or the source is away. Then the attempt is
        listed, and the job is ``failed`` once it has waited for too long. Because of a registry it
        only fails after the targets that could not be tried yet, as with ``fail``.
        """
        fields = {"waiting_for": one_line(reason)}
        error = reason if error_kind else ""
        return await self._settle(
            assignment,
            JobState.QUEUED,
            Outcome.DEFERRED,
            error,
            error_kind,
            delay,
            fields,
            registry=registry,
        )

    async def release(self, assignment: Assignment) -> JobState | None:
        """Hand the job back for another worker. The attempt does not count."""
        return await self._settle(assignment, JobState.QUEUED, Outcome.RELEASED)

    async def mark_cancelled(self, assignment: Assignment) -> JobState | None:
        """The worker has stopped the job, as the user asked."""
        return await self._settle(assignment, JobState.CANCELLED, Outcome.CANCELLED)

    async def _settle(
        self,
        assignment: Assignment,
        state: JobState,
        outcome: Outcome,
        error: str = "",
        error_kind: str = "",
        delay: float | None = None,
        fields: Mapping[str, str] | None = None,
        *,
        registry: str = "",
    ) -> JobState | None:
        arguments: Arguments = [
            assignment.fence,
            state,
            outcome,
            one_line(error),
            error_kind,
            "" if delay is None else round(delay * 1000),
            self._give_up_after,
            registry,
            *flat(fields or {}),
        ]
        try:
            answer = await self._records.run("settle", assignment.job.id, arguments)
        except UnreadableJobError:
            return JobState.FAILED
        return JobState(answer.decode()) if answer else None


def _assignment(targets: list[str], fields: Mapping[str, str]) -> Assignment:
    """Raises UnreadableJobError."""
    status = parse_status(fields)
    fence = int(fields["fence"])
    if fence == 1:
        codec.refuse_unknown_options(fields)
    return Assignment(
        status.job,
        tuple(targets),
        status.attempt,
        fence,
        status.sequence,
        status.bytes_sent,
        status.traceparent,
    )
