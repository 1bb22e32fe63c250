"""The event loop that moves blobs fastest."""

import asyncio
import os

_STANDARD_STREAMS = (0, 1, 2)


def new_event_loop() -> asyncio.AbstractEventLoop:
    import uvloop

    _open_standard_streams()
    return uvloop.new_event_loop()


def _open_standard_streams() -> None:
    """Open the standard streams that are closed, as uvloop aborts when it closes such a descriptor.

    If the parent process closed a standard stream, the next descriptor would get its number.
    """
    for number in _STANDARD_STREAMS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
