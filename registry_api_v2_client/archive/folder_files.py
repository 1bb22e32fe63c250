"""The files of a folder, in place of those of a tar."""

import io
from pathlib import Path

from ..exceptions import TarReadError
from .compressed_file import reading
from .files import HEAD_SIZE, ArchiveFiles, Member, Reader, is_outside, normal_name
from .source_folder import SourceFolder


class FolderFiles(ArchiveFiles):
    """Files are looked up by name on demand; nothing is listed."""

    def __init__(self, source: SourceFolder) -> None:
        self._source = source

    @property
    def path(self) -> Path:
        return self._source.path

    def find(self, name: str) -> Member | None:
        """The file of that name, or None.

        Raises:
            TarReadError: it is outside of the folder, reached by a symbolic link, or not regular.
            SourceChangedError, SourceUnreadableError: as ``SourceFolder.open``.
        """
        place = normal_name(name)
        if is_outside(place):
            raise TarReadError(f"{name} is a path outside the folder {self.path}")
        file = self._source.open(place)
        if file is None:
            return None
        with file, reading(place):
            head = file.read(HEAD_SIZE)
            return Member(place, 0, file.seek(0, io.SEEK_END), head)

    def open(self, member: Member) -> "FileReader":
        file = self._source.open(member.name)
        if file is None:
            raise TarReadError(f"{member.name} is missing from {self.path}")
        return FileReader(member, file)


class FileReader(Reader):
    """Reads a file."""

    def __init__(self, member: Member, file: io.FileIO) -> None:
        self._member = member
        self._file = file
        self._left = member.size

    def readinto(self, buffer: memoryview) -> int:
        wanted = min(len(buffer), self._left)
        filled = 0
        with reading(self._member.name):
            while filled < wanted:
                count = self._file.readinto(buffer[filled:wanted])
                if not count:
                    raise TarReadError(f"{self._member.name} ends early")
                filled += count
        self._left -= filled
        return filled

    def close(self) -> None:
        self._file.close()
