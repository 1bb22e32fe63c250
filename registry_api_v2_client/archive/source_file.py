"""The file that a tar is read from. It is opened once, so that all bytes are of one file."""

import errno
import io
import os
import stat
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..exceptions import SourceChangedError, SourceMissingError, SourceUnreadableError
from .source import SourceReader, TarSource

OpenFile = Callable[[str, int], int]
"""Opens a path with flags, as ``os.open`` does."""

_NOT_THERE = {errno.ENOENT, errno.ENOTDIR, errno.ELOOP}


@dataclass(frozen=True, slots=True)
class FileIdentity:
    """Tells a file and its contents apart from any other."""

    device: int
    inode: int
    size: int
    mtime_ns: int

    @classmethod
    def of(cls, status: os.stat_result) -> Self:
        return cls(status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns)

    @property
    def appearance(self) -> str:
        """Size and modification time, which come from the server of a shared volume.

        Each host numbers devices by itself. Some network file systems number inodes by themselves,
        too, and differently each time (CIFS with noserverino, FUSE).
        """
        return f"{self.size} {self.mtime_ns}"


class SourceFile(TarSource):
    """An open file. Readers keep reading it, whatever happens to its name."""

    path: Path

    def __init__(self, path: str | Path, open_file: OpenFile = os.open) -> None:
        """Open the file. Blocking.

        Raises:
            SourceUnreadableError: missing, not a regular file, or not readable.
        """
        self.path = Path(path)

        def open_at_once(name: str, flags: int) -> int:
            # Opening a pipe would wait for its other end.
            return open_file(name, flags | os.O_NONBLOCK)

        try:
            self._file = io.FileIO(str(path), opener=open_at_once)
        except IsADirectoryError as error:
            raise SourceUnreadableError(_not_a_file(path)) from error
        except OSError as error:
            if error.errno in _NOT_THERE:
                # For the callers of this library alone: the queue opens URLs itself.
                advice = "; open a URL by UrlSources" if "://" in str(path) else ""
                raise SourceMissingError(f"{path} does not exist{advice}") from error
            raise SourceUnreadableError(f"{path} cannot be read: {reason_of(error)}") from error
        status = os.fstat(self._file.fileno())
        if not stat.S_ISREG(status.st_mode):
            self._file.close()
            raise SourceUnreadableError(_not_a_file(path))
        self.identity = FileIdentity.of(status)

    @property
    def size(self) -> int:
        return self.identity.size

    @property
    def appearance(self) -> str:
        return self.identity.appearance

    def reader(self) -> SourceReader:
        """A stream from the start. It has a position of its own, and may outlive this object."""
        return _Reader(os.dup(self._file.fileno()))

    def check_unchanged(self) -> None:
        """Raises SourceChangedError if the file was written to since it was opened."""
        if FileIdentity.of(os.fstat(self._file.fileno())) != self.identity:
            raise SourceChangedError(
                f"{self.path} was changed while it was read; write a new tar under another name "
                "and rename it, then push that"
            )

    def close(self) -> None:
        self._file.close()


class _Reader(SourceReader):
    """Reads by ``pread``, as all descriptors of one open file share its position."""

    def __init__(self, descriptor: int) -> None:
        self._file = io.FileIO(descriptor)
        self._position = 0

    def tell(self) -> int:
        return self._position

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position}
        if whence == os.SEEK_END:
            start[whence] = os.fstat(self._file.fileno()).st_size
        self._position = start[whence] + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        count = os.preadv(self._file.fileno(), [buffer], self._position)
        self._position += count
        return count

    def close(self) -> None:
        self._file.close()
        super().close()


def check_name(path: str | Path) -> None:
    """Raises SourceUnreadableError for a name that this process cannot say to the system."""
    try:
        os.fsencode(path)
    except UnicodeEncodeError:
        raise SourceUnreadableError(
            f"{path} cannot be opened: this process reads the names of files as "
            f"{sys.getfilesystemencoding()}; start it with LC_ALL=C.UTF-8"
        ) from None


def reason_of(error: OSError) -> str:
    """Why a file cannot be opened, and what to do."""
    if error.errno not in (errno.EACCES, errno.EPERM) or not hasattr(os, "geteuid"):
        return str(error.strerror)
    return (
        f"{error.strerror} for user {os.geteuid()}, group {os.getegid()}; let them read the file "
        "and enter its folders, or run this as a user who can"
    )


def _not_a_file(path: str | Path) -> str:
    return f"{path} is not a file; give the image tar itself"
