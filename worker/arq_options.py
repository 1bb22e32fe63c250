"""How arq's worker is set up for push jobs."""

import logging
from contextlib import ExitStack
from functools import partial
from typing import Any

from arq.worker import func

from push_queue.errors import RedisDeniedError, RedisRefusedError
from push_queue.jobs.arq_queue import TASK
from push_queue.redis.connection import arq_options, redis_settings
from push_queue.redis.keys import Keys
from push_queue.redis.retries import Patience
from push_queue.redis.suitability import check_redis
from push_queue.settings import Settings, doubts

from .alive_file import AliveFile
from .arq_lease import give_lease_back, take_lease
from .log_context import log_worker
from .observer import WorkerObserver
from .push_task import push_image
from .runtime import Runtime, close_runtime, open_runtime

logger = logging.getLogger(__name__)

_SHORT_LEASE_SECONDS = 5
_POLL_SECONDS = 0.05
"""Seconds between two looks for new jobs. A job waits half of it on average."""
_NO_LIMIT = 1_000_000
"""arq counts every start as a try and would give up by itself. Attempts are counted by us."""


def worker_options(
    settings: Settings, patience: Patience | None = None, *, heeds: bool = False
) -> dict[str, Any]:
    """Keyword arguments for ``arq.worker.Worker``.

    ``heeds`` says whether the worker takes jobs by ``ArqQueue.take``, so that it heeds pauses.
    """
    return {
        "functions": [func(push_image, name=TASK, max_tries=_NO_LIMIT)],
        "queue_name": Keys(settings.namespace).queue,
        "redis_settings": redis_settings(settings),
        "on_startup": partial(_start_up, settings, patience or Patience(), heeds),
        "on_shutdown": _shut_down,
        "on_job_start": take_lease,
        "on_job_end": give_lease_back,
        "max_jobs": settings.max_jobs,
        # A push may take as long as it makes progress. Without a time-out, arq's own in-progress
        # key lives for ten seconds, until the hook has set our lease.
        "job_timeout": None,
        "job_completion_wait": settings.shutdown_grace_seconds,
        "keep_result": 0,
        "poll_delay": _POLL_SECONDS,
        "log_results": False,
        **arq_options(),
    }


async def _start_up(
    settings: Settings, patience: Patience, heeds: bool, ctx: dict[str, Any]
) -> None:
    warnings = await check_redis(ctx["redis"], allow_eviction=settings.allow_eviction)
    for warning in (*doubts(), *lease_doubts(settings), *warnings):
        logger.warning("%s", warning)
    ctx["redis"].set_retry(patience)
    metrics = ctx["metrics"] = ExitStack()
    observer = _observer(settings, metrics)
    runtime = ctx["runtime"] = open_runtime(settings, ctx["redis"], observer)
    log_worker(runtime.worker_id)
    await _try_queue(runtime)
    runtime.presence.heeds = heeds
    await runtime.presence.start()
    await runtime.couriers.start()
    runtime.housekeeper.start()
    if settings.alive_file:
        ctx["alive_file"] = AliveFile(settings.alive_file)
        ctx["alive_file"].start()
    logger.info("the worker is ready")


async def _shut_down(ctx: dict[str, Any]) -> None:
    if "runtime" in ctx:
        await close_runtime(ctx["runtime"])
    if "metrics" in ctx:
        ctx["metrics"].close()
    if "alive_file" in ctx:
        await ctx["alive_file"].stop()


def _observer(settings: Settings, stack: ExitStack) -> WorkerObserver:
    """What counts the worker's work, and is served until the stack is closed, if it is wanted.

    Raises:
        InvalidSettingsError: the metrics cannot be served there.
    """
    if not settings.metrics_port:
        return WorkerObserver()
    # Loaded only where they are served.
    from .metrics.endpoint import served_metrics

    return stack.enter_context(served_metrics(settings))


async def _try_queue(runtime: Runtime) -> None:
    """End a worker that may not take jobs, with a message. Other refusals of Redis may pass.

    Raises:
        RedisDeniedError: Redis refuses the login, or a right is missing.
    """
    try:
        await runtime.queue.take(0, runtime.settings.lease_seconds, runtime.worker_id)
    except RedisDeniedError:
        raise
    except RedisRefusedError as error:
        logger.warning("cannot take jobs yet: %s", error)


def lease_doubts(settings: Settings) -> list[str]:
    """Warnings about the setting of the lease, which only workers use."""
    if settings.lease_seconds >= _SHORT_LEASE_SECONDS:
        return []
    default = Settings.model_fields["lease_seconds"].default
    return [
        f"PUSH_QUEUE_LEASE_SECONDS={settings.lease_seconds}: a worker that hangs for that "
        f"long loses its jobs to others; the default is {default}"
    ]
