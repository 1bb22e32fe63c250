"""The files of a tar that arrives over a pipe. Each is read while it arrives, and again if needed.

A file is kept in a temporary file without a name, so that nothing is left of it whatever happens.
"""

import hashlib
import os
import re
import tempfile
import threading

from ..exceptions import SourceUnreadableError, TarReadError
from ..media_types import Compression, sniff_compression
from .files import Member, Reader

START_SIZE = 512
"""Bytes at the start of a file that tell what it is."""

_MAGIC = slice(257, 262)
"""Where POSIX and GNU tars, and so layers, say that they are tars."""
_PLACE = re.compile(r"blobs/[^/]+/[^/]+|([^/]+/)?[^/]+")
_BLOB = re.compile(r"blobs/sha256/([0-9a-f]{64})")


def compression_of_layer(name: str, start: bytes) -> Compression | None:
    """How a layer of that name, with this start, is compressed; None if it does not look like one.

    All tools put layers near the top. What lies deeper is a file system, such as docker export's.
    """
    if not _PLACE.fullmatch(name):
        return None
    compression = sniff_compression(start)
    known = compression is not Compression.NONE or start[_MAGIC] == b"ustar"
    return compression if known else None


class Arrival:
    """One file of the tar, of which ``written`` bytes have come so far.

    ``changed`` guards it. It is notified whenever somebody may have to wake up.
    """

    def __init__(
        self, member: Member, compression: Compression | None, changed: threading.Condition
    ) -> None:
        """Raises SourceUnreadableError if there is no temporary file to be had."""
        self.member = member
        self.compression = compression
        self.changed = changed
        self.written = 0
        self.settled = False
        """It need not be sent any more."""
        self.dropped = False
        """It takes no room any more, and cannot be read."""
        self.error: Exception | None = None
        """Why no more bytes will come."""
        named = _BLOB.fullmatch(member.name)
        self._stated = f"sha256:{named[1]}" if named else None
        self._hash = hashlib.sha256()
        try:
            self.file = tempfile.TemporaryFile(prefix="push-queue-", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _no_room(member, error) from error

    @property
    def complete(self) -> bool:
        return self.written == self.member.size

    def digest(self) -> str:
        """The digest that a layout states by its name, or else that of its bytes. Waits for these.

        Raises:
            RegistryError: they never will be.
        """
        if self._stated:
            return self._stated
        with self.changed:
            self.changed.wait_for(lambda: self.error or self.complete)
            if not self.complete and self.error:
                raise self.error
        return f"sha256:{self._hash.hexdigest()}"

    def write(self, content: memoryview) -> None:
        """Add bytes. A dropped file no longer keeps them.

        Raises:
            SourceUnreadableError: there is no room for them.
        """
        if not self._stated:
            self._hash.update(content)
        # The lock is held, so that the file is not dropped meanwhile.
        with self.changed:
            if not self.dropped:
                self._keep(content)
            self.written += len(content)
            self.changed.notify_all()

    def settle(self, *, drop: bool) -> None:
        """It need not be sent any more. Dropped, it takes no more room."""
        with self.changed:
            self.settled = True
            if drop:
                self.drop()
            self.changed.notify_all()

    def drop(self) -> None:
        self.dropped = True
        self.file.close()

    def _keep(self, content: memoryview) -> None:
        try:
            while content:
                content = content[self.file.write(content) :]
        except OSError as error:
            raise _no_room(self.member, error) from error


class ArrivalReader(Reader):
    """Reads a file that arrives. It stays open, as it belongs to all its readers."""

    def __init__(self, arrival: Arrival) -> None:
        self._arrival = arrival
        self._position = 0
        self._interrupted = False

    def readinto(self, buffer: memoryview) -> int:
        """Wait for the bytes to come, and fill ``buffer`` with them.

        Raises:
            RegistryError: they never will.
        """
        one = self._arrival
        wanted = min(len(buffer), one.member.size - self._position)
        end = self._position + wanted
        with one.changed:
            one.changed.wait_for(lambda: one.written >= end or one.error or self._interrupted)
            if self._interrupted or one.dropped:
                raise TarReadError(f"{one.member.name} is read no more")
            if one.written < end and one.error:
                raise one.error
        filled = 0
        while filled < wanted:
            filled += os.preadv(one.file.fileno(), [buffer[filled:wanted]], self._position + filled)
        self._position = end
        return wanted

    def interrupt(self) -> None:
        with self._arrival.changed:
            self._interrupted = True
            self._arrival.changed.notify_all()


class BytesReader(Reader):
    """Reads a file that is in memory."""

    def __init__(self, content: bytes) -> None:
        self._left = memoryview(content)

    def readinto(self, buffer: memoryview) -> int:
        count = min(len(buffer), len(self._left))
        buffer[:count] = self._left[:count]
        self._left = self._left[count:]
        return count


def _no_room(member: Member, error: OSError) -> SourceUnreadableError:
    return SourceUnreadableError(
        f"{member.name} of standard input finds no room in {tempfile.gettempdir()}: "
        f"{error.strerror}; set TMPDIR to a folder that has some"
    )
