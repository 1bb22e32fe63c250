"""Jobs in Redis: reading them, and every change of their state.

Changes are Lua scripts, so they happen whole or not at all, and those that a worker makes are
fenced: each start of a job hands out a higher number, and a worker that shows an older one is
told so and changes nothing.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from redis.asyncio import Redis
from redis.commands.core import AsyncScript

from push_queue import records, scripts
from push_queue.changes import Changes
from push_queue.errors import UnknownJobError
from push_queue.keys import Keys
from push_queue.models import (
    Attempt,
    BlobStatus,
    JobState,
    JobStatus,
    Outcome,
    PushJob,
    Signal,
    TargetResult,
)
from push_queue.records import decode, flat, pairs, parse_status
from push_queue.redis_errors import address_of, redis_errors
from push_queue.settings import WEEK_SECONDS

ERROR_LENGTH = 2000


@dataclass(frozen=True, slots=True)
class Claim:
    """A worker's right to run one attempt of a job."""

    job: PushJob
    generation: int
    attempt: int
    fence: int
    """Grows with every start of the job, also where ``attempt`` does not."""
    worker: str


def utc_now() -> datetime:
    return datetime.now(UTC)


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
        clock: Callable[[], datetime] = utc_now,
    ) -> None:
        self._redis = redis
        self._keys = keys
        self._keep_finished = keep_finished
        self._clock = clock
        self._address = address_of(redis)
        self._scripts: dict[str, AsyncScript] = {}

    # Producer side

    async def create(self, job: PushJob) -> tuple[JobStatus, bool]:
        """Enqueue the job, unless its id is known: then the job of that id comes back, and False.

        This writes the status record; handing the job to arq is the producer's next step.
        """
        fields = {
            **records.job_fields(job),
            "state": JobState.QUEUED,
            "generation": "0",
            "attempt": "0",
            "enqueued_at": records.timestamp(self._clock()),
        }
        answer = await self._run("create", job.id, flat(fields))
        if len(answer) == 1:
            return parse_status({**fields, "sequence": str(answer[0])}), True
        return parse_status(pairs(answer)), False

    async def cancel(self, job_id: str) -> JobState:
        """Cancel a waiting job at once and ask the worker of a running one to stop.

        Returns the state the job is in now; a final job stays what it is.

        Raises:
            UnknownJobError: no such job.
        """
        state = await self._run("cancel", job_id)
        if state is None:
            raise UnknownJobError(job_id)
        return JobState(state.decode())

    async def requeue(self, job_id: str) -> JobStatus:
        """Enqueue a final job again as a new generation; another one stays as it is.

        Raises:
            UnknownJobError: no such job.
        """
        return self._known(job_id, pairs(await self._run("requeue", job_id)))

    # Worker side

    async def start(self, job_id: str, generation: int, worker: str) -> Claim | None:
        """Begin an attempt, or learn that there is nothing to run: None.

        None when the job is unknown, final, of another generation, cancelled meanwhile, or out of
        attempts because its workers all died: then it is ``failed`` with ``worker_lost`` now.
        """
        token = secrets.token_hex(4)
        fields = pairs(await self._run("start", job_id, [generation, worker, token]))
        if not fields:
            return None
        status = parse_status(fields)
        return Claim(status.job, generation, status.attempt, int(fields["fence"]), worker)

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
        changed = flat(records.blob_fields(blobs))
        return Signal((await self._run("progress", claim.job.id, [*numbers, *changed])).decode())

    async def succeed(self, claim: Claim, digest: str, results: Iterable[TargetResult]) -> bool:
        """The job is done. ``digest`` is the manifest's; ``results`` holds one item a target.

        This and the other ends of an attempt return False, and change nothing, when the job is no
        longer this claim's.
        """
        fields = {"digest": digest, **records.result_fields(results)}
        return await self._settle(claim, JobState.SUCCEEDED, Outcome.SUCCEEDED, fields=fields)

    async def fail(self, claim: Claim, error: str, error_kind: str) -> bool:
        """The job failed for good."""
        return await self._settle(claim, JobState.FAILED, Outcome.FAILED, error, error_kind)

    async def retry(self, claim: Claim, error: str, error_kind: str, delay: float) -> bool:
        """The attempt failed, the next is ``delay`` seconds away. Counting them is the caller's.

        A job that was asked to be cancelled is cancelled instead, by ``release`` as well.
        """
        due = records.timestamp(self._clock() + timedelta(seconds=delay))
        fields = {"next_attempt_at": due}
        return await self._settle(
            claim, JobState.RETRYING, Outcome.FAILED, error, error_kind, fields
        )

    async def release(self, claim: Claim) -> bool:
        """Hand the job back for another worker; the attempt is not used up."""
        return await self._settle(claim, JobState.QUEUED, Outcome.RELEASED)

    async def mark_cancelled(self, claim: Claim) -> bool:
        """The worker stopped the job as it was asked to."""
        return await self._settle(claim, JobState.CANCELLED, Outcome.CANCELLED)

    # Reading

    async def status(self, job_id: str) -> JobStatus:
        """The job and how far it is.

        Raises:
            UnknownJobError: no such job.
        """
        fields = await self._read(self._redis.hgetall(self._keys.job(job_id)))
        return self._known(job_id, decode(fields))

    async def statuses(
        self, state: JobState | None = None, *, limit: int = 50, offset: int = 0
    ) -> list[JobStatus]:
        """A page of jobs, the last enqueued first."""
        index = self._keys.jobs_in(state) if state else self._keys.jobs
        with redis_errors(self._address):
            ids = await self._redis.zrevrange(index, offset, offset + limit - 1)
            async with self._redis.pipeline(transaction=False) as pipe:
                for job_id in ids:
                    pipe.hgetall(self._keys.job(job_id.decode()))
                hashes = await pipe.execute()
        # An expired job is in the indexes until they are trimmed.
        return [parse_status(decode(fields)) for fields in hashes if fields]

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
        return records.parse_blobs(decode(fields))

    async def attempts(self, job_id: str) -> list[Attempt]:
        """The attempts that ended, oldest first, those before a ``requeue`` included."""
        items = await self._read(self._redis.lrange(self._keys.attempts(job_id), 0, -1))
        return [Attempt.model_validate_json(item) for item in items]

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
        fields: Mapping[str, str] | None = None,
    ) -> bool:
        line = " ".join(error.split())[:ERROR_LENGTH]
        arguments: list[str | int] = [
            claim.fence,
            state,
            outcome,
            line,
            error_kind,
            *flat(fields or {}),
        ]
        return bool(await self._run("settle", claim.job.id, arguments))

    async def _read(self, reply: Any) -> Any:
        # redis-py types its commands for its synchronous client as well, hence Any.
        with redis_errors(self._address):
            return await reply

    async def _run(self, name: str, job_id: str, arguments: Iterable[str | int] = ()) -> Any:
        keys, now = self._keys, self._clock()
        if name not in self._scripts:
            self._scripts[name] = self._redis.register_script(scripts.load(name))
        with redis_errors(self._address):
            return await self._scripts[name](
                keys=[
                    keys.job(job_id),
                    keys.blobs(job_id),
                    keys.attempts(job_id),
                    keys.jobs,
                    keys.finished,
                    keys.events,
                    keys.sequence,
                    *(keys.jobs_in(state) for state in JobState),
                ],
                args=[
                    job_id,
                    keys.progress(job_id),
                    records.timestamp(now),
                    int(now.timestamp()),
                    self._keep_finished,
                    *arguments,
                ],
            )

    @staticmethod
    def _known(job_id: str, fields: Mapping[str, str]) -> JobStatus:
        if not fields:
            raise UnknownJobError(job_id)
        return parse_status(fields)
