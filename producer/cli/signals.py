"""Running a command's coroutine so that signals end it cleanly."""

import asyncio
import signal
import sys
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, TypeVar

from typer import Exit

from push_queue.cancelling import cancel_all
from push_queue.ending_signals import heeded

Result = TypeVar("Result")

_received: list[int] = []

_left_open: list[asyncio.Runner] = []
"""Those that signals have ended. To close them is to wait for names that are being looked up."""


def by_keyboard() -> bool:
    """Whether Ctrl-C ends the command, pressed by a user who can press it again."""
    return _received[-1:] == [signal.SIGINT] and sys.stdin.isatty()


def run(
    coroutine: Coroutine[Any, Any, Result],
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Result:
    """Run it to its end; each Ctrl-C, SIGTERM and SIGHUP cancels it, so that it can clean up.

    What the caller has ignored, as ``nohup`` does SIGHUP, stays so.

    Raises:
        typer.Exit: on these signals, with the code 128 + signal that shells expect.
    """
    _received.clear()
    handlers = {number: signal.getsignal(number) for number in heeded()}

    async def guarded() -> Result:
        task = asyncio.current_task()
        assert task is not None

        def end(number: int) -> None:
            _received.append(number)
            task.cancel()

        for number in handlers:
            asyncio.get_running_loop().add_signal_handler(number, end, number)
        try:
            return await coroutine
        except asyncio.CancelledError:
            await cancel_all(asyncio.all_tasks() - {asyncio.current_task()})
            raise

    runner = asyncio.Runner(loop_factory=loop_factory)
    try:
        return runner.run(guarded())
    except asyncio.CancelledError:
        _left_open.append(runner)
        raise Exit(128 + _received[0]) from None
    finally:
        _handle(handlers)
        if runner not in _left_open:
            runner.close()
            _handle(handlers)  # the loop has reset them


def _handle(handlers: Mapping[signal.Signals, Any]) -> None:
    for number, handler in handlers.items():
        signal.signal(number, handler)
