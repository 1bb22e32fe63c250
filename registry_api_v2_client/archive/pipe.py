"""A pipe that is read by a thread, which can be called back from waiting for its other end."""

import io
import os
import select

from .compressed_file import MAGIC_SIZE


class Pipe(io.RawIOBase):
    """Reads a descriptor, which stays open. Blocking; ``interrupt`` alone is for other threads."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._woken, self._waker = os.pipe()
        self._poll = select.poll()
        for each in (descriptor, self._woken):
            self._poll.register(each, select.POLLIN)
        self._start = b""
        self.count = 0
        """Bytes that have been read."""
        self.interrupted = False

    def readable(self) -> bool:
        return True

    def start(self) -> bytes:
        """The first bytes, which tell how it is compressed. They are read again as usual."""
        while len(self._start) < MAGIC_SIZE and (more := self._next(MAGIC_SIZE)):
            self._start += more
        return self._start

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        content = self._start[: len(buffer)] or self._next(len(buffer))
        self._start = self._start[len(content) :]
        buffer[: len(content)] = content
        self.count += len(content)
        return len(content)

    def interrupt(self) -> None:
        """Have it end, now and from now on."""
        self.interrupted = True
        os.write(self._waker, b"x")

    def close(self) -> None:
        if not self.closed:
            os.close(self._woken)
            os.close(self._waker)
        super().close()

    def _next(self, count: int) -> bytes:
        ready = {each for each, _ in self._poll.poll()}
        return b"" if self._woken in ready else os.read(self._descriptor, count)
