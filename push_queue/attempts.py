"""Attempts at jobs: what the worker that runs one does with it.

Changes are fenced: each start of a job hands out a higher number, and a worker that shows an older
one is told so and changes nothing.
"""

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence

from push_queue import formats, job_fields
from push_queue.database import Arguments, Database
from push_queue.errors import UnreadableJobError
from push_queue.job_fields import flat, one_line, pairs, parse_status
from push_queue.job_records import JobRecords
from push_queue.models import Assignment, BlobStatus, JobState, Outcome, Signal, Wait
from push_queue.settings import DAY_SECONDS, LEASE_SECONDS, REGISTRY_MAX_UPLOADS


class Attempts:
    """The attempts at the jobs of one namespace.

    Every method raises :class:`~push_queue.RedisUnavailableError` when Redis fails it, and is
    safe to send twice: a repeated call finds its work done.
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
        """Begin an attempt, or learn how long to wait before asking again.

        ``place`` is the score that the job had in arq's queue: newer workers take a job there that
        this one does not understand.

        None when there is nothing to run: the job is unknown, final, of another generation,
        cancelled meanwhile, superseded at all its targets, out of attempts because its workers all
        died, which is ``failed`` with ``worker_lost`` now, or out of patience with registries that
        are away, which is ``failed`` with their error. A job whose record cannot be read is
        ``failed`` with ``invalid_job`` now.
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
        fields = pairs(items)
        fence = int(fields["fence"])
        try:
            status = parse_status(fields)
            if fence == 1:
                job_fields.refuse_unknown_options(fields)
        except UnreadableJobError as error:
            await self._records.invalidate(job_id, str(error))
            return None
        return Assignment(
            status.job,
            tuple(json.loads(targets)),
            status.attempt,
            fence,
            status.sequence,
        )

    async def heartbeat(self, assignment: Assignment) -> Signal:
        """Whether to go on with the job."""
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
        blobs: Iterable[BlobStatus] = (),
    ) -> Signal:
        """Write down and publish how far the attempt is; ``blobs`` are those that changed."""
        numbers = [assignment.fence, bytes_done, bytes_total, blobs_done, blobs_total]
        changed = flat(job_fields.blob_fields(blobs))
        return Signal(
            (
                await self._database.run_on_job("progress", assignment.job.id, [*numbers, *changed])
            ).decode()
        )

    async def succeed(
        self,
        assignment: Assignment,
        digest: str,
        notes: Sequence[str] = (),
        cleanup_outcome: str | None = None,
    ) -> JobState | None:
        """The attempt went well. ``digest`` is the manifest's.

        The job is ``succeeded`` now, or ``superseded`` if newer jobs have written all its tags, or
        ``queued`` if it has targets that could not be tried yet.

        This and the other ends of an attempt return the state that the job is in now; None, having
        changed nothing, when it is no longer this worker's.
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
        """The job failed for good; ``answered`` is the registry whose own error it is, if one's.

        Then it is ``queued`` if it has targets that could not be tried yet, and fails after them.
        """
        return await self._settle(
            assignment, JobState.FAILED, Outcome.FAILED, error, error_kind, answered=answered
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
        """The attempt failed, the next is ``delay`` seconds away. Counting them is the caller's.

        A job that was asked to be cancelled is cancelled instead; so it is by ``defer`` and
        ``release``. ``answered`` as for ``fail``.
        """
        return await self._settle(
            assignment,
            JobState.RETRYING,
            Outcome.FAILED,
            error,
            error_kind,
            delay,
            answered=answered,
        )

    async def defer(
        self, assignment: Assignment, reason: str, delay: float, *, error_kind: str = ""
    ) -> JobState | None:
        """Put the attempt off; it is not used up.

        With a kind of error, that of a registry that is away, the attempt is listed, and a job that
        has waited for its registries long enough is ``failed`` instead.
        """
        fields = {"waiting_for": one_line(reason)}
        error = reason if error_kind else ""
        return await self._settle(
            assignment, JobState.QUEUED, Outcome.DEFERRED, error, error_kind, delay, fields
        )

    async def release(self, assignment: Assignment) -> JobState | None:
        """Hand the job back for another worker; the attempt is not used up."""
        return await self._settle(assignment, JobState.QUEUED, Outcome.RELEASED)

    async def mark_cancelled(self, assignment: Assignment) -> JobState | None:
        """The worker stopped the job as it was asked to."""
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
        answered: str = "",
    ) -> JobState | None:
        arguments: Arguments = [
            assignment.fence,
            state,
            outcome,
            one_line(error),
            error_kind,
            "" if delay is None else round(delay * 1000),
            self._give_up_after,
            answered,
            *flat(fields or {}),
        ]
        try:
            answer = await self._records.run("settle", assignment.job.id, arguments)
        except UnreadableJobError:
            return JobState.FAILED
        return JobState(answer.decode()) if answer else None
