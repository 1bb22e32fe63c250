"""One attempt of a push job, from its start to its outcome."""

import asyncio
import logging
import random
import time
from collections.abc import Awaitable, Callable
from typing import Any

from push_queue.error_kinds import ErrorKind
from push_queue.errors import RedisUnavailableError
from push_queue.models.assignments import Assignment, Signal
from push_queue.models.job_status import JobState
from push_queue.models.source_urls import is_url, shown
from push_queue.models.uploads import upload_id_of
from registry_api_v2_client import (
    BlobProgress,
    CompressionPolicy,
    NoSlotError,
    OnProgress,
    OpenUploads,
    Platform,
    PushedImage,
    RegistryError,
    Source,
    SourceUnavailableError,
    is_outage,
    parse_reference,
)

from .allowed_targets import check_targets
from .errors import DeferError, JobLostError
from .progress_reporter import ProgressReporter
from .push_counts import PushCounts
from .redis_tag_order import RedisTagOrder
from .runtime import Runtime
from .same_source import check_same_source
from .source_roots import open_source_of
from .tracing import note_error, note_state

logger = logging.getLogger(__name__)

START_AGAIN_SECONDS = 5.0
"""The delay before a job whose attempt could not be settled starts again."""
_SETTLE_AGAIN_SECONDS = 1.0
"""The delay before an outcome that Redis refused is sent again. Redis may be full for a while."""
_NEXT_SLOT_SECONDS = (1.0, 3.0)
"""Least and most time before asking for a slot again. A registry's pause may last longer."""
_NEXT_SOURCE_SECONDS = (5.0, 15.0)
"""Least and most time before a server of tars that is down is asked again."""
_NEXT_TARGETS_SECONDS = 1.0
"""The delay before trying the targets that an attempt left out."""

_OUTCOMES = {JobState.QUEUED: "deferred"}
"""What an attempt came to, if the job's state does not say it."""
_FINE = (JobState.SUCCEEDED, JobState.SUPERSEDED, JobState.CANCELLED)
"""States in which it does not matter what went wrong before."""


class JobAttempt:
    """One attempt, from its start to its outcome."""

    def __init__(self, runtime: Runtime, assignment: Assignment) -> None:
        self._runtime = runtime
        self._attempts = runtime.attempts
        self._assignment = assignment
        self._job = assignment.job
        self._progress = ProgressReporter(runtime.attempts, assignment)
        self._counts = PushCounts(runtime.observer)
        self._began = time.monotonic()
        # If the job runs again they stay open at the registry, and the next attempt resumes them.
        self._uploads = OpenUploads()
        self._source: Source | None = None

    async def run(self) -> float | None:
        """Push, and settle the job. Returns the seconds until the next attempt, if there is one.

        Raises:
            JobLostError: the job runs elsewhere by now.
        """
        logger.info(
            "started: %s to %s", shown(self._job.source), ", ".join(self._assignment.targets)
        )
        push = asyncio.create_task(self._push(self._on_progress))
        watch = asyncio.create_task(self._progress.watch())
        try:
            await asyncio.wait({push, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not push.done():
                await self._stop(push, watch.result())
                return None
            return await self._settle(push)
        except asyncio.CancelledError:
            await _end(push)
            await self._attempts.release(self._assignment)
            logger.info("handed back")
            self._tell("released")
            raise
        except JobLostError:
            self._tell("lost")
            raise
        finally:
            await _end(push, watch)
            if self._source:
                self._source.close()

    def _on_progress(self, progress: BlobProgress) -> None:
        self._progress.update(progress)
        self._counts.update(progress)

    def _tell(self, outcome: str, error_kind: str = "") -> None:
        seconds = time.monotonic() - self._began
        self._runtime.observer.attempt_ended(outcome, error_kind, seconds)

    async def _push(self, on_progress: OnProgress) -> PushedImage:
        settings = self._runtime.settings
        check_targets(map(parse_reference, self._job.targets), settings.targets)
        self._source = await self._open()
        await check_same_source(self._runtime.sources, self._assignment, self._source)
        return await self._runtime.client.push(
            self._source,
            [parse_reference(target) for target in self._assignment.targets],
            image=self._job.image,
            platform=Platform.parse(self._job.platform) if self._job.platform else None,
            compression=CompressionPolicy(self._job.compression),
            image_uploads=settings.job_uploads,
            on_progress=on_progress,
            uploads=self._uploads,
            tag_order=RedisTagOrder(
                self._runtime.tag_turns, self._assignment, settings.lease_seconds
            ),
        )

    async def _open(self) -> Source:
        if is_url(self._job.source):
            return await self._runtime.urls.open(self._job.source)
        if upload_id_of(self._job.source) and self._runtime.uploads:
            return await self._runtime.uploads.open(self._job.source)
        return await asyncio.to_thread(open_source_of, self._job, self._runtime.settings)

    async def _stop(self, push: asyncio.Task[PushedImage], signal: Signal) -> None:
        await _end(push)
        logger.info("stopped: %s", signal)
        if signal is Signal.LOST:
            raise JobLostError
        await self._uploads.abandon()
        await self._written(lambda: self._attempts.mark_cancelled(self._assignment))

    async def _settle(self, push: asyncio.Task[PushedImage]) -> float | None:
        try:
            pushed = push.result()
        except DeferError as reason:
            return await self._defer(str(reason), reason.delay)
        except NoSlotError as error:
            return await self._defer(str(error), random.uniform(*_NEXT_SLOT_SECONDS))
        except SourceUnavailableError as error:
            return await self._defer(str(error), self._source_pause(error), error.kind)
        except RegistryError as error:
            return await self._fail_or_go_on(error)
        except RedisUnavailableError as error:
            return await self._defer(str(error), START_AGAIN_SECONDS)
        except JobLostError:
            raise
        except Exception:  # the push's outermost frame; the job must report it
            logger.exception("unexpected error")
            await self._uploads.abandon()
            await self._fail("internal error; see the worker's log", ErrorKind.INTERNAL)
            return None
        return await self._succeed(pushed)

    def _source_pause(self, error: SourceUnavailableError) -> float:
        """At least what the server asks for, and at most as long as the job waits for it at all."""
        pause = max(random.uniform(*_NEXT_SOURCE_SECONDS), error.retry_after or 0.0)
        patience = self._job.give_up_after or self._runtime.settings.give_up_after_seconds
        return min(pause, patience)

    async def _succeed(self, pushed: PushedImage) -> float | None:
        await self._progress.flush()
        cleanup_outcome = await self._clean_up()
        state = await self._written(
            lambda: self._attempts.succeed(
                self._assignment, pushed.digest, pushed.notes, cleanup_outcome
            )
        )
        logger.info("%s: %s", state, pushed.digest)
        for note in pushed.notes:
            logger.warning("%s", note)
        return _NEXT_TARGETS_SECONDS if state is JobState.QUEUED else None

    async def _fail_or_go_on(self, error: RegistryError) -> float | None:
        if is_outage(error):
            await self._runtime.limits.leave_alone(error)
            # Without a delay: the job then waits with all others for that registry.
            return await self._defer(str(error), 0.0, error.kind, registry=error.registry or "")
        policy = self._runtime.retry_policy(self._job.max_attempts)
        delay = policy.delay(self._assignment.attempt, error)
        if delay is not None:
            return await self._retry(error, delay)
        logger.error("failed: %s", error)
        await self._uploads.abandon()
        state = await self._fail(str(error), error.kind, answered=error.registry or "")
        return None if state.final else _NEXT_TARGETS_SECONDS

    async def _retry(self, error: RegistryError, delay: float) -> float | None:
        note_error(str(error))
        logger.warning("%s", error)
        state = await self._written(
            lambda: self._attempts.retry(
                self._assignment, str(error), error.kind, delay, answered=error.registry or ""
            ),
            error.kind,
        )
        return None if state.final else delay

    async def _defer(
        self, reason: str, delay: float, error_kind: str = "", registry: str = ""
    ) -> float | None:
        how_long = f"while {registry} is left alone" if registry else f"for {delay:.1f} s"
        logger.info("put off %s: %s", how_long, reason)
        note_error(reason)
        state = await self._written(
            lambda: self._attempts.defer(
                self._assignment, reason, delay, error_kind=error_kind, registry=registry
            ),
            error_kind,
        )
        if state is JobState.FAILED:
            logger.error("given up: %s", reason)
            await self._uploads.abandon()
        return None if state.final else delay

    async def _fail(self, error: str, error_kind: str, *, answered: str = "") -> JobState:
        note_error(error)
        return await self._written(
            lambda: self._attempts.fail(self._assignment, error, error_kind, answered=answered),
            error_kind,
        )

    async def _written(
        self, settle: Callable[[], Awaitable[JobState | None]], error_kind: str = ""
    ) -> JobState:
        """Settle the job, however long Redis takes: the push must not be lost.

        Returns the job's new state, which is final if the job was cancelled meanwhile.

        Raises:
            JobLostError: the job runs elsewhere by now.
        """
        while True:
            try:
                state = await settle()
            except RedisUnavailableError as error:
                logger.warning("the outcome is not written yet: %s", error)
                await asyncio.sleep(_SETTLE_AGAIN_SECONDS)
            else:
                if state is None:
                    raise JobLostError
                self._tell(_OUTCOMES.get(state, state), "" if state in _FINE else error_kind)
                note_state(state)
                return state

    async def _clean_up(self) -> str | None:
        """Runs before the job is settled. After a crash the next worker settles it."""
        if self._source is None:
            return None
        outcome = await self._runtime.cleanup.after_push(self._assignment, self._source)
        if outcome:
            logger.info("%s: %s", self._source.path, outcome)
        return outcome


async def _end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel tasks that still run, and wait until they have cleaned up."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
