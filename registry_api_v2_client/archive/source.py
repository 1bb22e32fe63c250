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
        """Make a thread that waits for bytes fail at once. Thread-safe."""


class Source(ABC):
    """An open source: all that is read is of one state of it.

    Use as a context manager, or close it.
    """

    path: Path | str
    """How messages name it: the path of a file, or a URL without its query."""
    remote: ClassVar[bool] = False
    """Whether reading means waiting for a server; then it is done in few, long pieces."""

    @property
    @abstractmethod
    def appearance(self) -> str:
        """Identifies this state of the source, in the same way on all hosts."""

    @abstractmethod
    def check_unchanged(self) -> None:
        """Raises SourceChangedError if it was written to since it was opened."""

    @contextmanager
    def unchanged(self) -> Iterator[None]:
        """Turn an error into SourceChangedError if the source was changed meanwhile."""
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
