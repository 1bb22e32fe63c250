"""A program that is kept running for as long as this process lives, and no longer."""

import asyncio
import ctypes
import logging
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, STDOUT, Process
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field

from producer.errors import PartFailedError
from producer.local_system.restarts import Restarts

logger = logging.getLogger(__name__)

BAD_INPUT = 2
"""The exit status of our programs when a restart does not help."""

LONGEST_LINE = 1 << 20
"""In bytes; longer lines of output are not shown."""

_PR_SET_PDEATHSIG = 1
_LAST_LINES = 3
_OUTPUT_SECONDS = 1.0
_LOOK_SECONDS = 1.0


@dataclass(frozen=True)
class Program:
    """What to run; ``env`` is added to this process's environment."""

    name: str
    argv: tuple[str, ...]
    env: Mapping[str, str] = field(default_factory=dict)
    pass_fds: tuple[int, ...] = ()
    stop_seconds: float = 30.0
    """From SIGTERM on; after that it is killed."""
    noise: tuple[str, ...] = ()
    """Parts of the lines of its output that are not shown."""
    hindrance: Callable[[], str | None] = lambda: None
    """Says what keeps it from running, if anything does that may pass."""


class Part:
    """Keeps a program running, and shows its output."""

    def __init__(
        self, program: Program, show: Callable[[str], None], restarts: Restarts | None = None
    ) -> None:
        self.pid: int | None = None
        """Of the process that runs now, or ran last."""
        self._program = program
        self._show = show
        self._restarts = restarts or Restarts()
        self._last_words: deque[str] = deque(maxlen=_LAST_LINES)

    async def keep(self) -> None:
        """Run it again whenever it ends; when this is cancelled, stop it and wait for its end.

        Cancelled once more meanwhile, it tells the program to stop once more.

        Raises:
            PartFailedError: it cannot be started, or ends again and again.
        """
        name = self._program.name
        clock = asyncio.get_running_loop().time
        while True:
            began = clock()
            status = await self._run()
            wait = self._restarts.after(clock() - began)
            if wait is None or status == BAD_INPUT:
                words = " ".join(self._last_words) or "nothing"
                raise PartFailedError(f"{name} does not stay up ({_how(status)}); it said: {words}")
            logger.warning("%s ended (%s); starting it again in %g s", name, _how(status), wait)
            await asyncio.sleep(wait)
            await self._outlast_hindrance()

    async def _outlast_hindrance(self) -> None:
        said = False
        while True:
            hindrance = self._program.hindrance()
            if not hindrance:
                return
            if not said:
                said = True
                logger.error("%s is not started: %s", self._program.name, hindrance)
            await asyncio.sleep(_LOOK_SECONDS)

    async def _run(self) -> int:
        """Run it once; its exit status."""
        process = await self._start()
        self._last_words.clear()
        self.pid = process.pid
        output = asyncio.create_task(self._forward(process))
        try:
            return await process.wait()
        except asyncio.CancelledError:
            await _stop(process, self._program.stop_seconds)
            raise
        finally:
            # A process that it left behind may hold its output open.
            await asyncio.wait({output}, timeout=_OUTPUT_SECONDS)
            output.cancel()

    async def _start(self) -> Process:
        try:
            return await asyncio.create_subprocess_exec(
                *self._program.argv,
                env=os.environ | dict(self._program.env),
                pass_fds=self._program.pass_fds,
                stdin=DEVNULL,
                stdout=PIPE,
                stderr=STDOUT,
                limit=LONGEST_LINE,
                # Ctrl-C is for this process alone, which stops the parts in their order.
                start_new_session=True,
                preexec_fn=_ending_with_this_process(),
            )
        except OSError as error:
            raise PartFailedError(f"{self._program.name} cannot be started: {error}") from None

    async def _forward(self, process: Process) -> None:
        assert process.stdout
        while True:
            try:
                line = await process.stdout.readline()
            except ValueError:
                continue
            if not line:
                return
            text = line.decode(errors="replace").rstrip()
            if text:
                self._last_words.append(text)
            if not any(part in text for part in self._program.noise):
                self._show(text)


@asynccontextmanager
async def kept(
    parts: Iterable[Part], on_failure: Callable[[BaseException], None]
) -> AsyncIterator[None]:
    """Keep them all running within the block, and stop them all at once at its end.

    ``on_failure`` is called for each that fails. Cancelled while it waits for their end, it tells
    them to stop once more.
    """
    tasks = {asyncio.create_task(part.keep()) for part in parts}

    def ended(task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()):
            on_failure(error)

    for task in tasks:
        task.add_done_callback(ended)
    try:
        yield
    finally:
        while running := {task for task in tasks if not task.done()}:
            for task in running:
                task.cancel()
            with suppress(asyncio.CancelledError):
                await asyncio.wait(running)


async def _stop(process: Process, seconds: float) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    number = signal.SIGTERM
    while process.returncode is None:
        with suppress(ProcessLookupError):
            process.send_signal(number)
        # A process that was too busy for the first of two equal signals sees only one.
        number = signal.SIGINT
        try:
            async with asyncio.timeout_at(deadline):
                await process.wait()
        except asyncio.CancelledError:
            continue
        except TimeoutError:
            process.kill()
            await process.wait()


def _ending_with_this_process() -> Callable[[], None] | None:
    """What a child does first, so that SIGKILL of this process does not leave it behind.

    Only Linux has this. Source: PR_SET_PDEATHSIG(2const)
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None).prctl
    parent = os.getpid()

    def tie() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)
        if os.getppid() != parent:
            os._exit(1)

    return tie


def _how(status: int) -> str:
    return signal.Signals(-status).name if status < 0 else f"exit status {status}"
