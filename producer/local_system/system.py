"""Starts the parts in their order, and stops them in the reverse one."""

import asyncio
import logging
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path

from pydantic import SecretStr

from producer.api.server import running_server
from producer.errors import CannotStartError
from producer.local_system.data_folder import locked
from producer.local_system.part import Part, Program, kept
from producer.local_system.valkey import redis_url, socket_path, valkey
from producer.queue import PushQueue
from push_queue.errors import RedisUnavailableError
from push_queue.settings import ENV_PREFIX, REDIS_URL_VARIABLES, Settings

logger = logging.getLogger(__name__)

RIDE_OUT_SECONDS = 3.0
"""How long a request waits for a Valkey that is started again."""

_HAND_BACK_SECONDS = 15.0
"""How long a worker may take to hand its jobs back, once its grace period is over."""

_POLL_SECONDS = 0.05

Show = Callable[[str, str], None]
"""Shows a line of output, given the part's name and the line."""


@dataclass(frozen=True)
class LocalSystem:
    """A system that runs."""

    settings: Settings
    """The settings of the workers and the API, with the Valkey that they use."""
    api_url: str
    folder: Path | None
    """Where the jobs are kept; None with an external Redis."""


@asynccontextmanager
async def running_system(
    settings: Settings, *, workers: int, host: str, port: int, show: Show
) -> AsyncIterator[LocalSystem]:
    """Run a Valkey, unless the settings name another Redis, workers, and the API at host and port.

    All of it is ready once the block is entered. At its end the workers finish or hand back what
    they have; the API and the Valkey stop after them. Cancelling that makes the workers hand back
    at once.

    Raises:
        CannotStartError: the machine lacks something, a system runs already, or the API cannot
            listen there.
        PartFailedError: a part does not stay up. The block is cancelled then.
        RedisUnavailableError: the Redis of the settings cannot be reached.
    """
    task = asyncio.current_task()
    assert task
    failures: list[BaseException] = []

    def fail(error: BaseException) -> None:
        failures.append(error)
        task.cancel()

    try:
        async with AsyncExitStack() as stack:
            folder = _own_folder(settings)
            if folder:
                program = valkey(folder)  # It may be impossible: nothing is made before that.
                lock = await stack.enter_async_context(locked(folder))
                # It holds the folder for as long as it lives.
                part = _part(replace(program, pass_fds=(lock,)), show)
                await stack.enter_async_context(kept([part], fail))
                own = {
                    "redis_url": SecretStr(redis_url(folder)),
                    "spool": settings.spool or folder / "spool",
                }
                settings = settings.model_copy(update=own)
            queue = await stack.enter_async_context(_queue(settings, wait=bool(folder)))
            api_url = await stack.enter_async_context(running_server(queue, settings, host, port))
            parts = [_part(_worker(settings, number), show) for number in range(1, workers + 1)]
            await stack.enter_async_context(kept(parts, fail))
            await _reported(queue, parts)
            try:
                yield LocalSystem(settings, api_url, folder)
            finally:
                logger.info("stopping")
    except asyncio.CancelledError:
        if not failures:
            raise
        task.uncancel()
        raise failures[0] from None


def _own_folder(settings: Settings) -> Path | None:
    """Where the jobs are kept; None if the settings name a Redis other than the one there.

    The settings name that one in a shell that has run the export line of ``push-queue up``.
    """
    folder = settings.data_folder
    if settings.redis_url_given:
        named = settings.redis_address.socket_path
        if not (folder and named and Path(named) == socket_path(folder)):
            return None
    if not folder:
        raise CannotStartError(
            "this user has no home to keep jobs in; set XDG_DATA_HOME to a folder of its own"
        )
    return folder


def _part(program: Program, show: Show) -> Part:
    return Part(program, lambda line: show(program.name, line))


def _worker(settings: Settings, number: int) -> Program:
    return Program(
        f"worker-{number}",
        # Without -P, a worker.py in the user's current folder would run instead.
        (sys.executable, "-P", "-m", "worker"),
        env={
            REDIS_URL_VARIABLES[0]: settings.redis_url.get_secret_value(),
            **({f"{ENV_PREFIX}SPOOL": str(settings.spool)} if settings.spool else {}),
            **_metrics_port(settings, number),
        },
        stop_seconds=settings.shutdown_grace_seconds + _HAND_BACK_SECONDS,
    )


def _metrics_port(settings: Settings, number: int) -> dict[str, str]:
    """The first worker has the port of the settings, the second the next one, and so on."""
    if not settings.metrics_port:
        return {}
    return {f"{ENV_PREFIX}METRICS_PORT": str(settings.metrics_port + number - 1)}


@asynccontextmanager
async def _queue(settings: Settings, *, wait: bool) -> AsyncIterator[PushQueue]:
    """The queue; with ``wait``, once its Valkey has read its file, however long that takes."""
    async with AsyncExitStack() as stack:
        while True:
            try:
                connecting = PushQueue.connect(settings, ride_out=RIDE_OUT_SECONDS)
                queue = await stack.enter_async_context(connecting)
                break
            except RedisUnavailableError:
                if not wait:
                    raise
                await asyncio.sleep(_POLL_SECONDS)
        yield queue


async def _reported(queue: PushQueue, parts: list[Part]) -> None:
    """Wait until all workers report that they are alive."""
    alive: set[int] = set()
    while not {part.pid for part in parts} <= alive:
        await asyncio.sleep(_POLL_SECONDS)
        with suppress(RedisUnavailableError):
            alive = {worker.pid for worker in await queue.workers()}
