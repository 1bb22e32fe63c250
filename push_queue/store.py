"""Jobs in Redis: reading them, and every change of their state.

Changes are Lua scripts, so they happen whole or not at all, and those that a worker makes are
fenced: each start of a job hands out a higher number, and a worker that shows an older one is
told so and changes nothing.
"""

import json
import logging
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from redis.asyncio import Redis
from redis.exceptions import ResponseError

from push_queue import formats, job_fields
from push_queue.arq_queue import lead_ms, leads_ms
from push_queue.errors import (
    JobConflictError,
    RedisRefusedError,
    UnknownJobError,
    UnreadableJobError,
)
from push_queue.job_changes import Changes
from push_queue.job_fields import decode, flat, is_newer, pairs, parse_status, parse_whatever
from push_queue.keys import Keys
from push_queue.models import (
    Attempt,
    BlobStatus,
    JobState,
    JobStatus,
    Outcome,
    PushJob,
    Signal,
)
from push_queue.redis_errors import address_of, redis_errors
from push_queue.scripts import JobScripts, Scripts
from push_queue.settings import (
    DAY_SECONDS,
    LEASE_SECONDS,
    REGISTRY_MAX_UPLOADS,
    TAG_WATCH_SECONDS,
    WEEK_SECONDS,
)
from push_queue.tag_writes import TagWrite

logger = logging.getLogger(__name__)

ERROR_LENGTH = 2000
TAG_SECONDS = 30 * 24 * 3600
"""A tag's last writer is remembered for longer than an older job can be on its way."""


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to run one attempt of a job."""

    job: PushJob
    targets: tuple[str, ...]
    """Those to push to now: neither done with nor at a registry that wants a pause."""
    generation: int
    attempt: int
    fence: int
    """Grows with every start of the job, also where ``attempt`` does not."""
    worker: str
    sequence: int = 0
    """The job's place in the order of enqueueing."""


@dataclass(frozen=True, slots=True)
class Wait:
    """A job that is due, but whose registries are away, whose last worker may be back, or which
    wants a newer worker.

    ``seconds`` are until it is to ask again if ``Dispatch.release`` has not woken it before, or a
    newer worker taken it.
    """

    seconds: float


@dataclass(frozen=True, slots=True)
class Leave:
    """A job has left those that need its source."""

    last: bool
    unwanted: frozenset[str]
    """The files that earlier ones asked the last to delete, as they called them."""


class Turn(StrEnum):
    """The answer to who asks for a turn to write a tag."""

    WRITE = "write"
    WAIT = "wait"
    """Another job writes it just now."""
    SUPERSEDED = "superseded"
    """A job enqueued later has written it; the store has noted that."""
    LOST = "lost"
    """The job is no longer this worker's."""


class JobStore:
    """The jobs of one namespace.

    Every method raises :class:`~push_queue.RedisUnavailableError` when Redis fails it, and is
    safe to send twice: a repeated call finds its work done.
    """

    def __init__(
        self,
        redis: Redis,
        keys: Keys,
        keep_finished: int = WEEK_SECONDS,
        registry_max_uploads: int = REGISTRY_MAX_UPLOADS,
        lease_seconds: int = LEASE_SECONDS,
        tag_watch_seconds: int = TAG_WATCH_SECONDS,
        give_up_after: int = DAY_SECONDS,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._registry_max_uploads = registry_max_uploads
        self._lease_seconds = lease_seconds
        self._watch_ms = tag_watch_seconds * 1000
        self._give_up_after = give_up_after
        self._address = address_of(redis)
        self._scripts = JobScripts(redis, keys, keep_finished)
        self._turn_scripts = Scripts(redis)

    # Producer side

    async def create(
        self, job: PushJob, *, not_before: datetime | timedelta | None = None
    ) -> tuple[JobStatus, bool]:
        """Enqueue the job, unless its id is known: then the job of that id comes back, and False.

        ``not_before`` is a moment or the time from now on. Redis accepts the job whole, with what
        arq needs to run it, or not at all.

        Raises:
            JobConflictError: the id is that of a job with options that this release does not know,
                or whose record is damaged.
        """
        answer = await self._scripts.run("create", job.id, _creation(job, not_before))
        return _created(job, answer)

    async def create_all(
        self, jobs: Sequence[PushJob], *, not_before: datetime | timedelta | None = None
    ) -> list[tuple[JobStatus, bool]]:
        """``create`` for each of these jobs, in this order, all sent at once.

        Raises:
            JobConflictError: as for ``create``; the other jobs are enqueued.
        """
        calls = [(job.id, _creation(job, not_before)) for job in jobs]
        answers = await self._scripts.run_all("create", calls)
        return [_created(job, answer) for job, answer in zip(jobs, answers, strict=True)]

    async def cancel(self, job_id: str) -> JobState:
        """Cancel a waiting job at once and ask the worker of a running one to stop.

        Returns the state the job is in now; a final job stays what it is.

        Raises:
            UnknownJobError: no such job.
        """
        try:
            state = await self._run("cancel", job_id)
        except UnreadableJobError:
            return JobState.FAILED
        if state is None:
            raise UnknownJobError(job_id)
        return JobState(state.decode())

    async def requeue(self, job_id: str) -> JobStatus:
        """Enqueue a final job again as a new generation; another one stays as it is.

        Raises:
            UnknownJobError: no such job.
            UnreadableJobError: something else than a hash has its key.
        """
        return self._known(job_id, pairs(await self._run("requeue", job_id, leads_ms())))

    # Worker side

    async def start(
        self, job_id: str, generation: int, worker: str, place: int = 0
    ) -> Claim | Wait | None:
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
        arguments: list[str | int] = [
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
            answer = await self._run("start", job_id, arguments)
        except UnreadableJobError:
            return None
        match answer:
            case []:
                return None
            case [b"wait", milliseconds]:
                return Wait(milliseconds / 1000)
            case [b"invalid", damage]:
                await self._invalidate(job_id, damage.decode())
                return None
        _, targets, *items = answer
        fields = pairs(items)
        fence = int(fields["fence"])
        try:
            status = parse_status(fields)
            if fence == 1:
                job_fields.refuse_unknown_options(fields)
        except UnreadableJobError as error:
            await self._invalidate(job_id, str(error))
            return None
        return Claim(
            status.job,
            tuple(json.loads(targets)),
            generation,
            status.attempt,
            fence,
            worker,
            status.sequence,
        )

    async def heartbeat(self, claim: Claim) -> Signal:
        """Whether to go on with the job."""
        fields = ["state", "fence", "cancel_requested"]
        state, fence, cancel = await self._read(
            self._redis.hmget(self._keys.job(claim.job.id), fields)
        )
        if (state, fence) != (JobState.RUNNING.encode(), b"%d" % claim.fence):
            return Signal.LOST
        return Signal.CANCEL if cancel else Signal.CONTINUE

    async def progress(
        self,
        claim: Claim,
        *,
        bytes_done: int,
        bytes_total: int,
        blobs_done: int,
        blobs_total: int,
        blobs: Iterable[BlobStatus] = (),
    ) -> Signal:
        """Write down and publish how far the attempt is; ``blobs`` are those that changed."""
        numbers = [claim.fence, bytes_done, bytes_total, blobs_done, blobs_total]
        changed = flat(job_fields.blob_fields(blobs))
        return Signal(
            (await self._scripts.run("progress", claim.job.id, [*numbers, *changed])).decode()
        )

    async def note_source(self, claim: Claim, seen: str) -> str | None:
        """What the job's source is: as its first attempt to open it has ``seen`` it.

        A job that is enqueued again begins anew. None when the job is no longer this claim's.
        """
        noted = await self._scripts.run("note_source", claim.job.id, [claim.fence, seen])
        return noted.decode() if noted else None

    async def leave_source(self, job_id: str, unwanted: str | None) -> Leave | None:
        """The job, all of whose targets are done, needs its source no longer; None if some are not.

        Where it is not the last, the file called ``unwanted`` is to be deleted by the last.
        """
        match await self._scripts.run("leave_source", job_id, [unwanted or ""]):
            case [last, *files]:
                return Leave(bool(last), frozenset(name.decode() for name in files))
        return None

    async def note_cleanup(self, job_id: str, outcome: str) -> None:
        """Write down what became of the source of a job that is final."""
        await self._scripts.run("note_cleanup", job_id, [outcome])

    async def succeed(
        self,
        claim: Claim,
        digest: str,
        notes: Sequence[str] = (),
        cleanup_outcome: str | None = None,
    ) -> JobState | None:
        """The attempt went well. ``digest`` is the manifest's.

        The job is ``succeeded`` now, or ``superseded`` if newer jobs have written all its tags, or
        ``queued`` if it has targets that could not be tried yet.

        This and the other ends of an attempt return the state that the job is in now; None, having
        changed nothing, when it is no longer this claim's.
        """
        fields = {"digest": digest}
        if notes:
            fields["notes"] = json.dumps(notes, ensure_ascii=False)
        if cleanup_outcome:
            fields["cleanup_outcome"] = cleanup_outcome
        return await self._settle(claim, JobState.SUCCEEDED, Outcome.SUCCEEDED, fields=fields)

    async def fail(
        self, claim: Claim, error: str, error_kind: str, *, answered: str = ""
    ) -> JobState | None:
        """The job failed for good; ``answered`` is the registry whose own error it is, if one's."""
        return await self._settle(
            claim, JobState.FAILED, Outcome.FAILED, error, error_kind, answered=answered
        )

    async def retry(
        self, claim: Claim, error: str, error_kind: str, delay: float, *, answered: str = ""
    ) -> JobState | None:
        """The attempt failed, the next is ``delay`` seconds away. Counting them is the caller's.

        A job that was asked to be cancelled is cancelled instead; so it is by ``defer`` and
        ``release``. ``answered`` as for ``fail``.
        """
        return await self._settle(
            claim, JobState.RETRYING, Outcome.FAILED, error, error_kind, delay, answered=answered
        )

    async def defer(
        self, claim: Claim, reason: str, delay: float, *, error_kind: str = ""
    ) -> JobState | None:
        """Put the attempt off; it is not used up.

        With a kind of error, that of a registry that is away, the attempt is listed, and a job that
        has waited for its registries long enough is ``failed`` instead.
        """
        fields = {"waiting_for": _line(reason)}
        error = reason if error_kind else ""
        return await self._settle(
            claim, JobState.QUEUED, Outcome.DEFERRED, error, error_kind, delay, fields
        )

    async def release(self, claim: Claim) -> JobState | None:
        """Hand the job back for another worker; the attempt is not used up."""
        return await self._settle(claim, JobState.QUEUED, Outcome.RELEASED)

    async def mark_cancelled(self, claim: Claim) -> JobState | None:
        """The worker stopped the job as it was asked to."""
        return await self._settle(claim, JobState.CANCELLED, Outcome.CANCELLED)

    # Tags

    async def take_turn(self, claim: Claim, write: TagWrite, seconds: float) -> Turn:
        """Ask for the turn to write a tag; it is held for so many ``seconds``."""
        arguments: list[str | int] = [
            claim.fence,
            write.target,
            write.token,
            int(seconds * 1000),
            write.note,
            self._watch_ms,
        ]
        answer = await self._scripts.run("take_turn", claim.job.id, arguments)
        return Turn(answer.decode())

    async def renew_turn(self, write: TagWrite, seconds: float) -> bool:
        """Hold the turn for so many ``seconds`` more; False when it has run out."""
        keys = [self._keys.tag_writer(write.target), self._keys.writes]
        arguments: list[str | int] = [write.token, int(seconds * 1000), write.note, self._watch_ms]
        return bool(await self._turn_scripts.run("renew_turn", keys, arguments))

    async def end_turn(
        self, claim: Claim, write: TagWrite, *, written: bool, settled: bool = True
    ) -> bool:
        """Give the turn up; once ``written``, the tag stands for its digest and is done with.

        ``settled`` says that the registry has answered whatever was sent. Returns False when the
        turn had run out before: another job may have written the tag.
        """
        arguments: list[str | int] = [
            write.target,
            write.token,
            write.digest if written else "",
            TAG_SECONDS,
            write.note,
            self._watch_ms,
            int(settled),
        ]
        answer = await self._scripts.run("end_turn", claim.job.id, arguments)
        return bool(answer == b"done")

    # Reading

    async def status(self, job_id: str) -> JobStatus:
        """The job and how far it is.

        Raises:
            UnknownJobError: no such job.
        """
        (fields,) = await self._hashes([job_id])
        return self._known(job_id, fields)

    async def end_if_unreadable(self, job_id: str) -> bool:
        """Whether the job's record makes no sense; the job is ``failed`` with ``invalid_job`` then.

        A job of a newer format is for newer workers to judge. One whose record is gone leaves the
        indexes.
        """
        (fields,) = await self._hashes([job_id])
        if is_newer(fields):
            return False
        try:
            parse_status(fields)
        except UnreadableJobError as error:
            return await self._invalidate(job_id, str(error))
        return False

    async def statuses(
        self, state: JobState | None = None, *, limit: int = 50, offset: int = 0
    ) -> list[JobStatus]:
        """A page of jobs, the last enqueued first."""
        index = self._keys.jobs_in(state) if state else self._keys.jobs
        with redis_errors(self._address):
            members = await self._redis.zrevrange(index, offset, offset + limit - 1)
        ids = [member.decode() for member in members]
        hashes = zip(ids, await self._hashes(ids), strict=True)
        # An expired job is in the indexes until they are trimmed.
        return [parse_whatever(job_id, fields) for job_id, fields in hashes if fields]

    async def counts(self) -> dict[JobState, int]:
        """How many jobs are in each state."""
        with redis_errors(self._address):
            async with self._redis.pipeline(transaction=False) as pipe:
                for state in JobState:
                    pipe.zcard(self._keys.jobs_in(state))
                return dict(zip(JobState, await pipe.execute(), strict=True))

    async def blobs(self, job_id: str) -> tuple[BlobStatus, ...]:
        """The blobs of the latest attempt, as far as it reported them."""
        fields = await self._read(self._redis.hgetall(self._keys.blobs(job_id)))
        return tuple(job_fields.parse_blobs(decode(fields)))

    async def attempts(self, job_id: str) -> list[Attempt]:
        """The attempts that ended, oldest first, those before a ``requeue`` included."""
        items = await self._read(self._redis.lrange(self._keys.attempts(job_id), 0, -1))
        return list(job_fields.parse_attempts(items))

    def changes(self, *job_ids: str) -> Changes:
        """What happens to these jobs, or to all when none is named, from entering it on."""
        return Changes(self._redis, self._keys, job_ids)

    # Inside

    async def _settle(
        self,
        claim: Claim,
        state: JobState,
        outcome: Outcome,
        error: str = "",
        error_kind: str = "",
        delay: float | None = None,
        fields: Mapping[str, str] | None = None,
        *,
        answered: str = "",
    ) -> JobState | None:
        arguments: list[str | int] = [
            claim.fence,
            state,
            outcome,
            _line(error),
            error_kind,
            "" if delay is None else _ms(delay),
            self._give_up_after,
            answered,
            *flat(fields or {}),
        ]
        try:
            answer = await self._run("settle", claim.job.id, arguments)
        except UnreadableJobError:
            return JobState.FAILED
        return JobState(answer.decode()) if answer else None

    async def _hashes(self, job_ids: Sequence[str]) -> list[dict[str, str]]:
        """The jobs' hashes; empty where there is no such job."""
        with redis_errors(self._address):
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id in job_ids:
                    pipe.hgetall(self._keys.job(job_id))
                replies = await pipe.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, Exception) and not _is_of_another_type(reply):
                    raise reply
        return [
            job_fields.NO_HASH if isinstance(reply, Exception) else decode(reply)
            for reply in replies
        ]

    async def _run(self, name: str, job_id: str, arguments: Iterable[str | int] = ()) -> Any:
        """Run a script about a job.

        Raises:
            UnreadableJobError: it failed for the job's record, and the job with it.
            RedisUnavailableError: Redis fails.
        """
        try:
            return await self._scripts.run(name, job_id, arguments)
        except RedisRefusedError:
            if await self.end_if_unreadable(job_id):
                raise UnreadableJobError(
                    f"the record of job {job_id} cannot be read: enqueue it again, by another id"
                ) from None
            raise

    async def _invalidate(self, job_id: str, damage: str) -> bool:
        error = job_fields.invalid_job(damage)["error"]
        ended = bool(await self._scripts.run("invalidate", job_id, [_line(error)]))
        if ended:
            logger.error("job %s: failed: %s", job_id, error)
        return ended

    async def _read(self, reply: Any) -> Any:
        # redis-py types its commands for its synchronous client as well, hence Any.
        with redis_errors(self._address):
            return await reply

    @staticmethod
    def _known(job_id: str, fields: Mapping[str, str]) -> JobStatus:
        if not fields:
            raise UnknownJobError(job_id)
        return parse_whatever(job_id, fields)


def _is_of_another_type(error: Exception) -> bool:
    return isinstance(error, ResponseError) and str(error).startswith("WRONGTYPE")


def _creation(job: PushJob, not_before: datetime | timedelta | None) -> list[str | int]:
    """What ``create.lua`` takes."""
    moment = _ms(not_before.timestamp()) if isinstance(not_before, datetime) else 0
    delay = _ms(not_before.total_seconds()) if isinstance(not_before, timedelta) else 0
    return [moment, delay, lead_ms(job.priority), *flat(job_fields.job_fields(job))]


def _created(job: PushJob, answer: list[Any]) -> tuple[JobStatus, bool]:
    """What ``create.lua`` gives back."""
    created, *items = answer
    fields = pairs(items) or job_fields.NO_HASH
    if not created and is_newer(fields):
        raise JobConflictError(
            f"job {job.id} is there, enqueued by a newer release: use another id"
        )
    try:
        return parse_status(fields), bool(created)
    except UnreadableJobError as error:
        raise JobConflictError(
            f"job {job.id} is there, but its record cannot be read ({error}): use another id"
        ) from None


def _line(text: str) -> str:
    return " ".join(text.split())[:ERROR_LENGTH]


def _ms(seconds: float) -> int:
    return round(seconds * 1000)
