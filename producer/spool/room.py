"""How much more a spool takes."""

import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from producer.errors import SpoolFullError, UploadTooLargeError

MOST_UPLOADS = 10_000


@dataclass(frozen=True, slots=True)
class Room:
    """What a folder has room for, by its quota and by its disk. All methods block."""

    folder: Path
    quota: int
    """Bytes that uploads may take, together."""
    keep_free: int
    """Bytes that they leave on the disk."""

    def check_length(self, length: int) -> None:
        """Whether an upload of so many bytes could fit if there were nothing else.

        Raises:
            UploadTooLargeError: it could not.
        """
        if length > self.quota:
            raise UploadTooLargeError(
                f"the upload has {length} bytes, and the spool takes {self.quota} in all "
                "(PUSH_QUEUE_SPOOL_QUOTA)"
            )

    def check(self, wanted: int) -> int:
        """How many bytes there is room for.

        Raises:
            SpoolFullError: for fewer than are wanted.
        """
        files = self._tars()
        if len(files) >= MOST_UPLOADS:
            raise SpoolFullError(f"there are {MOST_UPLOADS} uploads; try again later")
        within_quota = self.quota - sum(_sizes(files))
        disk = os.statvfs(self.folder)
        on_disk = disk.f_bavail * disk.f_frsize - self.keep_free
        if min(within_quota, on_disk) < wanted:
            limit = (
                "PUSH_QUEUE_SPOOL_QUOTA" if within_quota < wanted else "PUSH_QUEUE_SPOOL_KEEP_FREE"
            )
            raise SpoolFullError(
                f"the spool has no room for {wanted} more bytes ({limit}); try again later"
            )
        return min(within_quota, on_disk)

    def used(self) -> int:
        """Bytes that uploads take."""
        return sum(_sizes(self._tars()))

    def _tars(self) -> list[os.DirEntry[str]]:
        """The tars, whole or not."""
        return [entry for entry in os.scandir(self.folder) if not entry.name.endswith(".json")]


def _sizes(files: list[os.DirEntry[str]]) -> Iterator[int]:
    for file in files:
        with suppress(FileNotFoundError):
            yield file.stat(follow_symlinks=False).st_size
