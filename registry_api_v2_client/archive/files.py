"""The files of an archive by name: what a tar, a folder and a stream have in common."""

import posixpath
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from ..exceptions import TarReadError

HEAD_SIZE = 8
"""Bytes of each member kept in the index: enough to recognise a compressed layer."""

MAX_DOCUMENTS = 64 << 20
"""The most bytes of manifests and configs to read from one archive: they stay in memory. A thousand
images need less than half of it. This also stops an archive that names one large config a thousand
times."""

_OUTSIDE = ".."


@dataclass(frozen=True, slots=True)
class Member:
    """A regular file: ``size`` bytes from ``offset`` of the uncompressed tar, or of the file."""

    name: str
    offset: int
    size: int
    head: bytes
    sparse: bool = False


class Reader(ABC):
    """Reads one member from its start to its end, once. Blocking; one thread at a time."""

    @abstractmethod
    def readinto(self, buffer: memoryview) -> int:
        """Fill ``buffer``, and return the count of bytes: fewer than it holds only at the end.

        Raises:
            TarReadError: the archive ends before the member does.
        """

    def interrupt(self) -> None:  # noqa: B027 - not all wait for anybody
        """Have a thread that waits in ``readinto`` fail at once. Thread-safe."""

    def close(self) -> None:  # noqa: B027 - not all have something to close
        """Close what it reads from."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class ArchiveFiles(ABC):
    """The regular files of an archive. Thread-safe. Close it when done."""

    compressed = False
    """Whether the archive is compressed as a whole: reading members out of order is then slow."""
    remote = False
    """Whether reading it means waiting for a server."""
    _read_bytes = 0

    @property
    @abstractmethod
    def path(self) -> Path | str:
        """How messages name the archive."""

    @abstractmethod
    def find(self, name: str) -> Member | None:
        """The member of that name, or None.

        Raises:
            TarReadError: it cannot be read as a file.
        """

    @abstractmethod
    def open(self, member: Member) -> Reader:
        """Start reading a member's stored bytes; thread-safe, unlike the reader."""

    def known_digest(self, member: Member) -> str | None:
        """The digest of a member's stored bytes, if that is known without reading them."""
        return None

    def read(self, member: Member, limit: int) -> bytes:
        """All bytes of a JSON document, which is a manifest or a config.

        Raises:
            TarReadError: it is larger than ``limit`` bytes, cut short, or cannot be JSON; or the
                documents of the archive have too many bytes.
        """
        if member.size > limit:
            raise TarReadError(
                f"{member.name} in {self.path} has {member.size} bytes; at most {limit} are allowed"
            )
        if not may_be_json(member.head):
            raise TarReadError(f"{member.name} in {self.path} is not valid JSON")
        self._read_bytes += member.size
        document = self._document(member)
        if document is None or self._read_bytes > MAX_DOCUMENTS:
            raise TarReadError(
                f"the manifests and configs in {self.path} have more than {MAX_DOCUMENTS} bytes "
                "together; save fewer images into one tar"
            )
        return document

    def _document(self, member: Member) -> bytes | None:
        """All bytes of a document; None if there were too many to keep them all."""
        buffer = bytearray(member.size)
        with self.open(member) as reader:
            reader.readinto(memoryview(buffer))
        return bytes(buffer)

    def close(self) -> None:  # noqa: B027 - not all have something to close
        """Close what this has opened."""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def may_be_json(head: bytes) -> bool:
    """Whether a document with this start can be an object or an array."""
    return head.lstrip()[:1] in (b"{", b"[") or (len(head) == HEAD_SIZE and not head.strip())


def normal_name(name: str) -> str:
    """The one spelling of a member's name, from the top of the archive."""
    return posixpath.normpath(name).lstrip("/")


def is_outside(name: str) -> bool:
    """Whether a name in that spelling leads out of the archive."""
    return name == _OUTSIDE or name.startswith(f"{_OUTSIDE}/")
