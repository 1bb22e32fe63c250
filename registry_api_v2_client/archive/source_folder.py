"""The folder of an OCI layout. It is opened once, and all files are opened below it."""

import errno
import io
import os
import stat
from pathlib import Path

from ..exceptions import SourceChangedError, SourceUnreadableError, TarReadError
from .source import Source
from .source_file import FileIdentity, reason_of

INDEXES = ("index.json", "manifest.json")
"""The files that describe what a folder holds; one of them is there."""

_NOT_THERE = {errno.ENOENT, errno.ENAMETOOLONG}
_LINKS = {errno.ELOOP, errno.ENOTDIR}
"""What opening a symbolic link fails with: a link to a file, and one to a folder."""
_INNER = os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC | getattr(os, "O_PATH", os.O_RDONLY)
_FILE = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC | os.O_NONBLOCK
"""Without O_NONBLOCK, opening a pipe would wait for its other end."""


class SourceFolder(Source):
    """An open folder. No symbolic link in it is followed, so no file outside of it is read.

    Its ``identity`` is that of its index, from which digests lead to all the rest.
    """

    path: Path

    def __init__(self, path: str | Path, descriptor: int) -> None:
        """Takes over the ``descriptor`` of the folder. Blocking.

        Raises:
            SourceUnreadableError: it has no index, or that cannot be read.
        """
        self.path = Path(path)
        self._descriptor = descriptor
        self._seen: dict[str, FileIdentity] = {}
        try:
            self.identity = self._index()
        except BaseException:
            self.close()
            raise

    def open(self, name: str) -> io.FileIO | None:
        """Open the file of that name below the folder; None if there is none. Blocking.

        Raises:
            TarReadError: a symbolic link leads there, or it is not a regular file.
            SourceChangedError: it is not the file that it was when it was first opened.
            SourceUnreadableError: it cannot be read.
        """
        try:
            file = io.FileIO(self._open(name))
        except ValueError:  # what no file can be named
            return None
        except OSError as error:
            if error.errno in _NOT_THERE:
                return None
            if error.errno in _LINKS:
                raise TarReadError(
                    f"{name} in {self.path} is reached by a symbolic link, which is not followed; "
                    "cp -rL makes a copy without links"
                ) from error
            raise SourceUnreadableError(
                f"{self.path / name} cannot be read: {reason_of(error)}"
            ) from error
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            file.close()
            raise TarReadError(f"{name} in {self.path} is not a regular file")
        identity = FileIdentity.of(status)
        if self._seen.setdefault(name, identity) != identity:
            file.close()
            raise self._changed(name)
        return file

    @property
    def appearance(self) -> str:
        return self.identity.appearance

    def check_unchanged(self) -> None:
        for name in tuple(self._seen):
            try:
                file = self.open(name)
            except (TarReadError, SourceUnreadableError) as error:
                raise self._changed(name) from error
            if file is None:
                raise self._changed(name)
            file.close()

    def close(self) -> None:
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1

    def _index(self) -> FileIdentity:
        for name in INDEXES:
            if file := self.open(name):
                file.close()
                return self._seen[name]
        raise SourceUnreadableError(
            f"{self.path} is a folder without {' or '.join(INDEXES)}; name an image tar, or the "
            "folder of an OCI layout"
        )

    def _open(self, name: str) -> int:
        *folders, last = name.split("/")
        folder = os.dup(self._descriptor)
        try:
            for part in folders:
                inner = os.open(part, _INNER, dir_fd=folder)
                os.close(folder)
                folder = inner
            return os.open(last, _FILE, dir_fd=folder)
        finally:
            os.close(folder)

    def _changed(self, name: str) -> SourceChangedError:
        return SourceChangedError(
            f"{self.path / name} was changed while the image was read; write a new layout into "
            "another folder, then push that"
        )
