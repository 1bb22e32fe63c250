"""The task that arq runs: one attempt of a push job."""

import asyncio
import logging
from typing import Any

from arq import Retry

from push_queue import Claim, RedisUnavailableError, Signal, TargetResult
from registry_api_v2_client import (
    CompressionPolicy,
    OnProgress,
    OpenUploads,
    PushedImage,
    RegistryError,
    parse_reference,
)

from .progress import ProgressReporter
from .runtime import Runtime

logger = logging.getLogger(__name__)

_START_AGAIN_SECONDS = 5.0
"""Before a job is started again whose attempt could not be brought to an end."""


async def push_image(ctx: dict[str, Any], job_id: str, generation: int) -> None:
    """Run the next attempt of a job and write down how it ended.

    Raises:
        Retry: the job is to run again later.
        asyncio.CancelledError: the worker stops; the job was handed back.
    """
    runtime: Runtime = ctx["runtime"]
    try:
        claim = await runtime.store.start(job_id, generation, runtime.worker_id)
        if claim is None:
            return
        runtime.presence.running += 1
        try:
            delay = await _Attempt(runtime, claim).run()
        finally:
            runtime.presence.running -= 1
    except RedisUnavailableError as error:
        logger.warning("job %s: %s", job_id, error)
        delay = _START_AGAIN_SECONDS
    except Exception:
        # arq would drop the job and leave it `running` for ever; so it runs again, and the number
        # of its attempts bounds how often.
        logger.exception("job %s: unexpected error", job_id)
        delay = _START_AGAIN_SECONDS
    if delay is not None:
        raise Retry(defer=delay)


class _Attempt:
    """One attempt, from the claim to its outcome."""

    def __init__(self, runtime: Runtime, claim: Claim) -> None:
        self._runtime = runtime
        self._store = runtime.store
        self._claim = claim
        self._progress = ProgressReporter(runtime.store, claim)
        # Left at the registry when the job is to run again: the next attempt goes on from there.
        self._uploads = OpenUploads()

    async def run(self) -> float | None:
        """Push, and settle the job; give the seconds until the next attempt, if there is one."""
        push = asyncio.create_task(self._push(self._progress.update))
        watch = asyncio.create_task(self._progress.watch())
        try:
            await asyncio.wait({push, watch}, return_when=asyncio.FIRST_COMPLETED)
            if not push.done():
                await self._stop(push, watch.result())
                return None
            return await self._settle(push)
        except asyncio.CancelledError:
            await _end(push)
            await self._store.release(self._claim)
            logger.info("job %s: handed back", self._claim.job.id)
            raise
        finally:
            await _end(push, watch)

    async def _push(self, on_progress: OnProgress) -> PushedImage:
        job = self._claim.job
        return await self._runtime.client.push(
            job.source,
            [parse_reference(target) for target in job.targets],
            image=job.image,
            compression=CompressionPolicy(job.compression),
            image_uploads=self._runtime.settings.job_uploads,
            on_progress=on_progress,
            uploads=self._uploads,
        )

    async def _stop(self, push: asyncio.Task[PushedImage], signal: Signal) -> None:
        await _end(push)
        if signal is Signal.CANCEL:
            await self._uploads.abandon()
            await self._store.mark_cancelled(self._claim)
        logger.info("job %s: stopped: %s", self._claim.job.id, signal)

    async def _settle(self, push: asyncio.Task[PushedImage]) -> float | None:
        job_id = self._claim.job.id
        try:
            pushed = push.result()
        except RegistryError as error:
            return await self._fail_or_retry(error)
        except Exception:  # the outermost frame of the push: whatever it is, the job must say so
            logger.exception("job %s: unexpected error", job_id)
            await self._uploads.abandon()
            await self._store.fail(self._claim, "internal error; see the worker's log", "internal")
            return None
        await self._progress.flush()
        targets = self._claim.job.targets
        results = [TargetResult(target=target, digest=pushed.digest) for target in targets]
        await self._store.succeed(self._claim, pushed.digest, results)
        logger.info("job %s: pushed %s to %s", job_id, pushed.digest, ", ".join(targets))
        return None

    async def _fail_or_retry(self, error: RegistryError) -> float | None:
        claim = self._claim
        delay = self._runtime.retry_policy(claim.job.max_attempts).delay(claim.attempt, error)
        if delay is None:
            logger.error("job %s: failed: %s", claim.job.id, error)
            await self._uploads.abandon()
            await self._store.fail(claim, str(error), error.kind)
            return None
        logger.warning("job %s: attempt %s: %s", claim.job.id, claim.attempt, error)
        kept = await self._store.retry(claim, str(error), error.kind, delay)
        return delay if kept else None


async def _end(*tasks: asyncio.Task[Any]) -> None:
    """Cancel what still runs, and wait until it has cleaned up."""
    for task in tasks:
        task.cancel()
    await asyncio.wait(tasks)
