"""The task that arq runs for a push job."""

import logging
from typing import Any

from arq import Retry
from arq.worker import RetryJob

from push_queue.errors import RedisUnavailableError, UnknownJobError
from push_queue.models.assignments import Wait

from .attempt import START_AGAIN_SECONDS, JobAttempt
from .errors import JobLostError
from .log_context import log_attempt
from .runtime import Runtime
from .tracing import attempt_span

logger = logging.getLogger(__name__)


async def push_image(ctx: dict[str, Any], job_id: str, generation: int) -> None:
    """Run the next attempt of a job and write down how it ended.

    Raises:
        Retry: the job is to run again later.
        RetryJob: the job runs elsewhere by now, so arq must leave its records alone.
        asyncio.CancelledError: the worker stops, and the job was handed back.
    """
    runtime: Runtime = ctx["runtime"]
    try:
        delay = await _run(runtime, job_id, generation, ctx["score"])
    except JobLostError:
        if await _is_over(runtime, job_id):
            return
        await ctx["lease"].lose()
        raise RetryJob from None
    except RedisUnavailableError as error:
        logger.warning("%s", error)
        delay = START_AGAIN_SECONDS
    except Exception:
        # arq would drop the job and leave it `running` for ever. So it runs again while it has
        # attempts left.
        logger.exception("unexpected error")
        delay = START_AGAIN_SECONDS
    if delay is not None:
        ctx["lease"].put_off(delay)
        raise Retry


async def _run(runtime: Runtime, job_id: str, generation: int, place: int) -> float | None:
    """Run one attempt. Returns the seconds until the next, if there is one."""
    assignment = await runtime.attempts.start(job_id, generation, runtime.worker_id, place)
    if assignment is None:
        await runtime.cleanup.after_end(job_id)
        return None
    if isinstance(assignment, Wait):
        return assignment.seconds
    with runtime.presence.of(job_id), log_attempt(assignment), attempt_span(assignment):
        return await JobAttempt(runtime, assignment).run()


async def _is_over(runtime: Runtime, job_id: str) -> bool:
    try:
        return (await runtime.jobs.status(job_id)).state.final
    except (UnknownJobError, RedisUnavailableError):
        return False
