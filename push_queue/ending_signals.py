"""Signals that end a program, while no event loop takes care of them."""

import os
import signal
from types import FrameType

ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def heeded() -> tuple[signal.Signals, ...]:
    """Those that end this program, which neither ``nohup`` nor a shell's ``&`` has ignored."""
    return tuple(each for each in ENDING_SIGNALS if signal.getsignal(each) != signal.SIG_IGN)


def end_at_once_by_signals() -> None:
    """From now on they end the program without a word, whatever it loads or waits for.

    As an exception, Ctrl-C would be shown by the code that it interrupts.
    """
    for each in heeded():
        signal.signal(each, end_by)


def end_by(number: int, _: FrameType | None = None) -> None:
    """End as whoever did not handle the signal: a shell's loop goes on after an exit status."""
    signal.signal(number, signal.SIG_DFL)
    os.kill(os.getpid(), number)
    # The first process of a container outlives that.
    os._exit(128 + number)
