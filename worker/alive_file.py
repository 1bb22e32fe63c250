"""A file that says that this very worker is alive: its event loop touches it."""

import time
from contextlib import suppress
from pathlib import Path

from push_queue.errors import InvalidSettingsError

from .periodic import Periodic

FRESH_SECONDS = 30.0
"""A worker that has not touched its file for this long hangs, or is gone."""
_INTERVAL = 5.0


class AliveFile:
    """Touches the file from the start to the stop, after which it is gone."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._touches = Periodic(_INTERVAL, self._touch_again)

    def start(self) -> None:
        """Touch it now, and from now on.

        Raises:
            InvalidSettingsError: it cannot be written.
        """
        try:
            self._path.touch()
        except OSError as error:
            raise InvalidSettingsError(
                f"PUSH_QUEUE_ALIVE_FILE: {self._path} cannot be written ({error.strerror})"
            ) from None
        self._touches.start()

    async def stop(self) -> None:
        await self._touches.stop()
        with suppress(OSError):
            self._path.unlink(missing_ok=True)

    async def _touch_again(self) -> None:
        # A disk that is full for a while says nothing about this worker's next touch.
        with suppress(OSError):
            self._path.touch()


def is_fresh(path: Path) -> bool:
    """Whether the worker with this file is alive."""
    try:
        return time.time() - path.stat().st_mtime <= FRESH_SECONDS
    except OSError:
        return False
