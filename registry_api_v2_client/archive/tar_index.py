"""Where each member of a tar lies, so that members are read in place and nothing is extracted.

The tar may be compressed as a whole. There is no random access in a compressed stream, so a
member is then reached by decompressing up to it; a stream that has read one member is kept for
the next one behind it, which makes reading members in order a single pass.
"""

import io
import threading
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from ..exceptions import TarReadError
from ..json_document import MAX_JSON
from .compressed_file import MAGIC_SIZE, Opener, longest_content, opener_of, reading
from .files import MAX_DOCUMENTS, ArchiveFiles, Member, Reader, may_be_json
from .member_table import MemberTable
from .source import SourceReader, TarSource
from .tar_header import BrokenTarError, TarMember, read_members

_SKIP = 1 << 20


class MemberReader(Reader):
    """Reads a member of a tar. Closing it gives the stream back for the next one."""

    def __init__(
        self, member: Member, stream: "_Stream", give_back: Callable[["_Stream"], None]
    ) -> None:
        self._member = member
        self._stream = stream
        self._give_back = give_back
        self._left = member.size
        self._interrupted = False

    def readinto(self, buffer: memoryview) -> int:
        wanted = min(len(buffer), self._left)
        filled = 0
        with reading(self._member.name):
            while filled < wanted:
                count = cast(io.RawIOBase, self._stream.content).readinto(buffer[filled:wanted])
                if not count:
                    raise TarReadError(f"the tar ends in the middle of {self._member.name}")
                filled += count
        self._left -= filled
        return filled

    def interrupt(self) -> None:
        self._interrupted = True
        self._stream.reader.interrupt()

    def close(self) -> None:
        if self._interrupted:
            self._stream.close()
        else:
            self._give_back(self._stream)


class TarIndex(ArchiveFiles):
    """The members of a tar by name. Thread-safe. Close it when done, and the file after it.

    If several members have the same name, the last counts, as it would when docker extracts them.
    """

    def __init__(self, source: TarSource) -> None:
        """Index the tar.

        Raises:
            SourceUnreadableError: it cannot be read.
            TarReadError: empty, truncated, not a tar, or built to exhaust its reader.
        """
        self._source = source
        self._lock = threading.Lock()
        self._idle: list[_Stream] = []
        self._closed = False
        self._members = MemberTable(self.path)
        self._documents: dict[Member, bytes] = {}
        self._kept_bytes = 0
        with reading(str(self.path)):
            self._decompress = self._sniff()
            self.compressed = self._decompress is not None
            self.remote = self._source.remote
            self._keeps_documents = self.compressed or self.remote
            self._scan()

    @property
    def path(self) -> Path | str:
        return self._source.path

    def find(self, name: str) -> Member | None:
        """The member of that name, through symbolic and hard links, or None.

        Raises:
            TarReadError: its links form a loop or lead out of the tar, or it is stored sparse.
        """
        return self._members.find(name)

    def _document(self, member: Member) -> bytes | None:
        return self._documents.get(member) if self._keeps_documents else super()._document(member)

    def open(self, member: Member) -> MemberReader:
        """Start reading a member's stored bytes; thread-safe, unlike the reader."""
        with reading(member.name):
            stream = self._stream_at(member.offset)
            if not self.compressed:
                stream.reader.expect(member.size)
            return MemberReader(member, stream, self._give_back)

    def close(self) -> None:
        with self._lock:
            idle, self._idle, self._closed = self._idle, [], True
        for stream in idle:
            stream.close()

    def _scan(self) -> None:
        size = self._source.size
        if self.compressed:
            end, past_end = longest_content(size), f"more than {size} compressed bytes may hold"
        else:
            end, past_end = size, f"but the tar has only {size}"
        with closing(self._new_stream()) as stream:

            def read(offset: int, count: int) -> bytes:
                self._move(stream, offset)
                return _read(stream.content, count)

            try:
                for member in read_members(read, end, past_end):
                    self._add(member, read)
            except BrokenTarError as error:
                raise TarReadError(f"{self.path} is not a readable tar: {error}") from error

    def _add(self, entry: TarMember, read: Callable[[int, int], bytes]) -> None:
        member = self._members.add(entry, read)
        if member and self._keeps_documents and may_be_json(member.head):
            self._keep(member, read)

    def _keep(self, member: Member, read: Callable[[int, int], bytes]) -> None:
        """Keep a document of a compressed tar: to read it later would mean decompressing again."""
        if member.size <= MAX_JSON and self._kept_bytes + member.size <= MAX_DOCUMENTS:
            rest = read(member.offset + len(member.head), member.size - len(member.head))
            self._documents[member] = member.head + rest
            self._kept_bytes += member.size

    def _stream_at(self, offset: int) -> "_Stream":
        with self._lock:
            # A plain file can go back; a decompressor only goes forward.
            fit = [one for one in self._idle if not self.compressed or one.tell() <= offset]
            stream = max(fit, key=_Stream.tell) if fit else None
            if stream:
                self._idle.remove(stream)
        stream = stream or self._new_stream()
        self._move(stream, offset)
        return stream

    def _new_stream(self) -> "_Stream":
        reader = self._source.reader()
        return _Stream(
            reader, self._decompress(reader) if self._decompress else cast(BinaryIO, reader)
        )

    def _sniff(self) -> Opener | None:
        """How to decompress the file, or None where it is a plain tar."""
        with self._source.reader() as file:
            magic = file.read(MAGIC_SIZE)
        if not magic:
            raise TarReadError(f"{self.path} is empty")
        return opener_of(magic)

    def _move(self, stream: "_Stream", offset: int) -> None:
        if self.compressed:
            _skip(stream.content, offset - stream.tell())
        else:
            stream.reader.seek(offset)

    def _give_back(self, stream: "_Stream") -> None:
        with self._lock:
            if not self._closed:
                self._idle.append(stream)
                return
        stream.close()  # a reader that outlives its archive


@dataclass(frozen=True, slots=True, eq=False)
class _Stream:
    """The uncompressed tar, read by ``reader``."""

    reader: SourceReader
    content: BinaryIO

    def tell(self) -> int:
        return self.content.tell()

    def close(self) -> None:
        self.content.close()


def _read(stream: BinaryIO, count: int) -> bytes:
    """``count`` bytes, or fewer at the end. A raw stream may give them in several reads."""
    content = stream.read(count)
    while content and len(content) < count and (more := stream.read(count - len(content))):
        content += more
    return content


def _skip(stream: BinaryIO, count: int) -> None:
    while count > 0:
        skipped = len(stream.read(min(count, _SKIP)))
        if not skipped:
            raise EOFError("the compressed stream ends early")
        count -= skipped
