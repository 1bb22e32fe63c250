"""A tar that its server gives only as a whole: copied once, into a file without a name."""

import hashlib
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ..archive.source import SourceReader, TarSource
from ..archive.source_file import SourceFile
from ..exceptions import SourceUnavailableError, SourceUnreadableError
from .http_connection import HttpConnection
from .ranges import ObjectIdentity

_BLOCK = 1 << 20
_LOOK_AGAIN = 64 << 20
"""Bytes after which it is looked again whether there is room."""


@dataclass(frozen=True, slots=True)
class SpoolFolder:
    """Where such tars go while they are pushed. They leave ``keep_free`` bytes there."""

    folder: Path
    largest: int
    keep_free: int

    def room(self) -> int:
        return shutil.disk_usage(self.folder).free - self.keep_free


class SpooledSource(TarSource):
    """The copy. It is gone when it is closed, or with its process."""

    def __init__(self, name: str, file: SourceFile, version: str) -> None:
        self.path = name
        self._file = file
        self._version = version

    @property
    def size(self) -> int:
        return self._file.size

    @property
    def appearance(self) -> str:
        return ObjectIdentity(self.size, self._version).appearance

    def reader(self) -> SourceReader:
        return self._file.reader()

    def check_unchanged(self) -> None:
        """Nothing to do: nobody else has the file."""

    def close(self) -> None:
        self._file.close()


def spool(
    connection: HttpConnection, name: str, size: int | None, version: str, to: SpoolFolder
) -> SpooledSource:
    """Copy the body that ``connection`` has begun to read. Blocking.

    Raises:
        SourceUnreadableError: there is no room for it.
        SourceUnavailableError: it breaks off.
    """
    try:
        with tempfile.TemporaryFile(dir=to.folder) as file:
            # What the server does not tell apart, its bytes do.
            content = None if version else hashlib.sha256()
            _copy(connection, name, size, to, file.fileno(), content)
            copy = SourceFile(to.folder, lambda *_: os.dup(file.fileno()))
            return SpooledSource(name, copy, content.hexdigest() if content else version)
    except OSError as error:
        if isinstance(error, (SourceUnreadableError, SourceUnavailableError)):
            raise
        raise SourceUnreadableError(
            f"{name} cannot be copied into the spool {to.folder}: {error.strerror}"
        ) from error


def _copy(
    connection: HttpConnection,
    name: str,
    size: int | None,
    to: SpoolFolder,
    file: int,
    content: "hashlib._Hash | None",
) -> None:
    block = memoryview(bytearray(_BLOCK))
    done = granted = 0
    _check_room(name, size or 0, to)
    while count := connection.readinto(block):
        done += count
        if done > granted:
            _check_room(name, done, to, count)
            granted = done + _LOOK_AGAIN
        view = block[:count]
        if content:
            content.update(view)
        while view:
            view = view[os.write(file, view) :]
    if size is not None and done < size:
        raise SourceUnavailableError(f"{name} broke off at byte {done}")


def _check_room(name: str, size: int, to: SpoolFolder, coming: int | None = None) -> None:
    if size > to.largest or (size if coming is None else coming) > to.room():
        raise SourceUnreadableError(
            f"{name} cannot be read in parts, and does not fit into the spool {to.folder}"
        )
