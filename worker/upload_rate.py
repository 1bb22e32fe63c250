"""How fast bytes go, over the last seconds."""

import time
from collections import deque
from collections.abc import Callable

WINDOW_SECONDS = 5.0
"""Short enough to show a stall soon, and long enough to be read."""


class UploadRate:
    """Bytes a second over the last ``WINDOW_SECONDS``. Tell it often how many are done."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._told: deque[tuple[float, int]] = deque()

    def at(self, done: int) -> int:
        """Bytes a second, given the bytes ``done``. An upload that starts over resets the rate."""
        now = self._clock()
        if self._told and done < self._told[-1][1]:
            self._told.clear()
        self._told.append((now, done))
        while len(self._told) > 1 and now - self._told[1][0] >= WINDOW_SECONDS:
            self._told.popleft()
        since, before = self._told[0]
        return round((done - before) / (now - since)) if now > since else 0
