"""The event loop that moves blobs fastest."""

import asyncio
import os
import sys

_STANDARD_STREAMS = (0, 1, 2)


def new_event_loop() -> asyncio.AbstractEventLoop:
    """uvloop's, if it is installed."""
    if sys.platform == "win32":
        return asyncio.new_event_loop()
    import uvloop

    _open_standard_streams()
    return uvloop.new_event_loop()


def _open_standard_streams() -> None:
    """uvloop ends the process when it closes a descriptor that has the number of one.

    A descriptor gets such a number if our parent process closed that stream.
    """
    for number in _STANDARD_STREAMS:
        try:
            os.fstat(number)
        except OSError:
            os.open(os.devnull, os.O_RDWR)  # gets the lowest number that is free
