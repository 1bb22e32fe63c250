"""What an archive is read from: a tar, in a file or at a server, or the folder of a layout."""

import io
from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar, Self

from ..exceptions import ValidationError


class SourceReader(io.RawIOBase):
    """Reads a source, from a position of its own. Blocking; one thread at a time."""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def expect(self, count: int) -> None:
        """``count`` bytes will be read from here, one after the other."""

    def interrupt(self) -> None:
        """Have a thread that waits for bytes fail at once. Thread-safe."""


class Source(ABC):
    """An open source: all that is read is of one state of it.

    Use as a context manager, or close it.
    """

    path: Path | str
    """How messages name it: the path of a file, or a URL without its query."""
    remote: ClassVar[bool] = False
    """Whether to read is to wait for a server: then in few, long pieces."""

    @property
    @abstractmethod
    def appearance(self) -> str:
        """Tells it from what it was before or may be later, in the same way on all hosts."""

    @abstractmethod
    def check_unchanged(self) -> None:
        """Raises SourceChangedError if it was written to since it was opened."""

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Raise SourceChangedError for an error that a change of the source explains."""
        try:
            yield
        except ValidationError:
            self.check_unchanged()
            raise

    @abstractmethod
    def close(self) -> None: ...

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class TarSource(Source):
    """A tar that is open."""

    @property
    @abstractmethod
    def size(self) -> int:
        """Its bytes."""

    @abstractmethod
    def reader(self) -> SourceReader:
        """A stream from the start."""
