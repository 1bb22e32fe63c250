"""Running a command's coroutine so that signals end it cleanly."""

import asyncio
import signal
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

from typer import Exit

Result = TypeVar("Result")

ENDING_SIGNALS = (signal.SIGTERM, signal.SIGHUP)


def run(
    coroutine: Coroutine[Any, Any, Result],
    *,
    loop_factory: Callable[[], asyncio.AbstractEventLoop] | None = None,
) -> Result:
    """Run it to its end; Ctrl-C, SIGTERM and SIGHUP cancel it, so that it can clean up.

    Raises:
        KeyboardInterrupt: on Ctrl-C.
        typer.Exit: on the other signals, with the code 128 + signal that shells expect.
    """
    received: list[int] = []

    async def guarded() -> Result:
        task = asyncio.current_task()
        assert task is not None

        def end(number: int) -> None:
            received.append(number)
            task.cancel()

        for number in ENDING_SIGNALS:
            asyncio.get_running_loop().add_signal_handler(number, end, number)
        return await coroutine

    try:
        with asyncio.Runner(loop_factory=loop_factory) as runner:
            return runner.run(guarded())
    except asyncio.CancelledError:
        raise Exit(128 + received[0]) from None
