"""A tar on a server as a source: read in place, and resumed after a cut."""

import os
import threading
from weakref import WeakSet

from ..archive.source import SourceReader, TarSource
from ..exceptions import SourceUnavailableError
from ..retry import RetryPolicy
from .ranges import RangedObject

SKIP = 1 << 20
"""How many bytes to read and drop rather than send another request."""
FIRST_WINDOW = 256 << 10
LONGEST_WINDOW = 1 << 30
"""Bytes of one request where it is not known how many are wanted: twice as many each time that
reading goes on behind the last ones. So headers that lie apart cost little, and a whole few."""
_ADVANCE = 256 << 10
"""Bytes after which a cut is the first one again."""


class RemoteSource(TarSource):
    """A tar on a server. Nothing of it is kept."""

    remote = True

    def __init__(self, found: RangedObject, retry: RetryPolicy) -> None:
        self.path = found.name
        self._object = found
        self._retry = retry
        self._lock = threading.Lock()
        self._readers: WeakSet[RemoteReader] = WeakSet()
        self._closed = False

    @property
    def size(self) -> int:
        return self._object.identity.size

    @property
    def appearance(self) -> str:
        return self._object.identity.appearance

    def reader(self) -> "RemoteReader":
        reader = RemoteReader(self._object, self._retry)
        with self._lock:
            self._readers.add(reader)
            if self._closed:
                reader.interrupt()
        return reader

    def check_unchanged(self) -> None:
        """Nothing to do: each range is only taken from the object as it was."""

    def close(self) -> None:
        with self._lock:
            self._closed = True
            readers = list(self._readers)
        for reader in readers:
            reader.interrupt()


class RemoteReader(SourceReader):
    """Reads an object by long ranges, one at a time."""

    def __init__(self, found: RangedObject, retry: RetryPolicy) -> None:
        self._object = found
        self._ranges = found.ranges()
        self._retry = retry
        self._interrupted = threading.Event()
        self._position = 0
        self._expected = 0
        """Where what is expected ends."""
        self._at = self._end = 0
        """The next byte that comes, and the end of the range."""
        self._window = FIRST_WINDOW
        self._failures = 0
        self._failed_at = 0
        """Where the first of these failures was."""

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}
        self._position = start[whence] + offset
        return self._position

    def expect(self, count: int) -> None:
        self._expected = self._position + count

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        left = min(len(buffer), self._size - self._position)
        if left <= 0:
            return 0
        while True:
            try:
                self._come_to_position()
                # What reads by this may give a bytearray.
                count = self._take(memoryview(buffer)[:left])
            except SourceUnavailableError as error:
                self._end = self._at
                self._wait(error)
            else:
                self._position += count
                return count

    def interrupt(self) -> None:
        self._interrupted.set()
        self._ranges.interrupt()

    def close(self) -> None:
        self._ranges.close()
        super().close()

    @property
    def _size(self) -> int:
        return self._object.identity.size

    def _come_to_position(self) -> None:
        """Have the next byte be the one at the position."""
        gap = self._position - self._at
        if self._at < self._end and 0 <= gap <= min(SKIP, self._end - self._at - 1):
            scrap = memoryview(bytearray(min(gap, FIRST_WINDOW)))
            while gap := self._position - self._at:
                self._take(scrap[:gap])
            return
        follows = 0 <= gap <= SKIP and self._at > 0
        self._window = min(2 * self._window, LONGEST_WINDOW) if follows else FIRST_WINDOW
        stop = self._position + self._window
        if self._position < self._expected:
            stop = self._expected
        self._check_not_interrupted()
        self._at = self._end = self._position
        self._end = self._ranges.ask(self._position, min(stop, self._size))

    def _take(self, buffer: memoryview) -> int:
        count = self._ranges.readinto(buffer[: self._end - self._at])
        if not count:
            raise SourceUnavailableError(f"{self._object.name} broke off at byte {self._at}")
        self._at += count
        return count

    def _wait(self, error: SourceUnavailableError) -> None:
        """Wait before the next try.

        Raises:
            SourceUnavailableError: there have been enough, or this is interrupted.
        """
        self._check_not_interrupted()
        if self._at - self._failed_at >= _ADVANCE or self._at < self._failed_at:
            self._failures, self._failed_at = 0, self._at
        self._failures += 1
        delay = self._retry.delay(self._failures, error)
        if delay is None:
            raise error
        self._interrupted.wait(delay)
        self._check_not_interrupted()

    def _check_not_interrupted(self) -> None:
        if self._interrupted.is_set():
            raise SourceUnavailableError(f"{self._object.name} is read no more")
