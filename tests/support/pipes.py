"""A pipe that a thread writes to, as `docker save` does."""

import os
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress


@contextmanager
def piped(parts: Iterable[bytes]) -> Iterator[int]:
    """The end to read from. An iterable that waits holds up the pipe."""
    reader, writer = os.pipe()

    def write() -> None:
        with suppress(BrokenPipeError), os.fdopen(writer, "wb", buffering=0) as pipe:
            for part in parts:
                left = memoryview(part)
                while left:
                    left = left[pipe.write(left) :]

    thread = threading.Thread(target=write)
    thread.start()
    try:
        yield reader
    finally:
        os.close(reader)
        thread.join()
