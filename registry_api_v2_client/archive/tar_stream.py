"""A tar on standard input: it can be read only once, and its manifests mostly come last.

A thread takes it apart as it comes. Documents stay in memory. What looks like a layer is an
arrival, to be sent while the rest is still coming. Everything else is kept in temporary files to
the end.
"""

import asyncio
import io
import logging
import sys
import tempfile
import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, cast

from ..bounds import check_positive
from ..exceptions import TarReadError
from ..json_document import MAX_JSON
from .arrivals import START_SIZE, Arrival, ArrivalReader, BytesReader, compression_of_layer
from .compressed_file import longest_content, opener_of, reading
from .files import MAX_DOCUMENTS, ArchiveFiles, Member, Reader
from .member_table import MemberTable
from .pipe import Pipe
from .source import Source
from .tar_header import BrokenTarError, TarMember, read_members

logger = logging.getLogger(__name__)

_NAME = "standard input"
_BLOCK = 1 << 20
_MOST_KEPT = 64
"""Files that are kept on disk to the end. Images have hardly any; each holds a descriptor open."""
_WRITER = "did the command that writes it fail?"
_INDEXES = ("manifest.json", "index.json")


class TarStream(Source):
    """A tar that comes over a pipe. Opened as an archive once all of it has come.

    At most ``ahead`` layers that are not sent yet take room at the same time; then reading waits.
    """

    path = _NAME
    remote = True
    appearance = _NAME

    def __init__(self, descriptor: int, *, ahead: int = 3) -> None:
        """Start to read the ``descriptor``, which stays open."""
        check_positive("ahead", ahead)
        self.files = StreamFiles()
        self._ahead = ahead
        self._changed = threading.Condition()
        self._layers: list[Arrival] = []
        self._ended = False
        self._error: Exception | None = None
        self._listener: Callable[[], None] = _nobody
        self._pipe = Pipe(descriptor)
        self._stream = cast(BinaryIO, self._pipe)
        self._position = 0
        self._kept = 0
        self._block = memoryview(bytearray(_BLOCK))
        self._thread = threading.Thread(target=self._run, name="standard input", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> bool:
        """Whether all has come."""
        return self._ended

    async def layers(self) -> AsyncGenerator[Arrival, None]:
        """What looks like a layer and is to be sent, as it comes; earlier ones that are left first.

        Raises:
            RegistryError: the tar is broken, or cut short.
        """
        loop, changed = asyncio.get_running_loop(), asyncio.Event()
        given = 0

        def wake() -> None:
            loop.call_soon_threadsafe(changed.set)

        with self._listening(wake):
            while True:
                changed.clear()
                ended = self._ended
                for arrival in self._layers[given:]:
                    given += 1
                    if not arrival.dropped:
                        yield arrival
                if self._error:
                    raise self._error
                if ended:
                    return
                await changed.wait()

    @property
    def sent(self) -> list[Arrival]:
        """The layers that all targets have got."""
        return [layer for layer in self._layers if layer.dropped]

    def check_unchanged(self) -> None:
        """Nothing to check: nobody can write to what has been read."""

    def close(self) -> None:
        if self._pipe.closed:
            return
        self._pipe.interrupt()
        with self._changed:
            self._changed.notify_all()
        self._thread.join()
        self._pipe.close()
        for arrival in self.files.arrivals.values():
            arrival.drop()

    @contextmanager
    def _listening(self, listener: Callable[[], None]) -> Iterator[None]:
        with self._changed:
            self._listener = listener
        try:
            yield
        finally:
            with self._changed:
                self._listener = _nobody

    def _run(self) -> None:
        error: Exception | None = None
        try:
            with reading(_NAME):
                self._take_apart()
        except BrokenTarError as broken:
            error = TarReadError(f"{_NAME} is not a readable tar: {broken}; {_WRITER}")
        except Exception as other:  # noqa: BLE001 - whoever waits for the thread raises it
            error = other
        with self._changed:
            if self._pipe.interrupted:
                error = error or TarReadError(f"{_NAME} is read no more")
            self._error = error
            for arrival in self.files.arrivals.values():
                arrival.error = error
            self._ended = True
            self._changed.notify_all()
            self._listener()

    def _take_apart(self) -> None:
        start = self._pipe.start()
        if not start:
            raise TarReadError(f"{_NAME} is empty; {_WRITER}")
        if opener := opener_of(start):
            self._stream = opener(self._pipe)
        for entry in read_members(self._read, sys.maxsize, ""):
            self._take(entry)
        # Whoever writes it is not to fail because nobody reads the padding at the end.
        while self._fill(self._block):
            pass
        if not any(map(self.files.find, _INDEXES)):
            raise TarReadError(
                f"{_NAME} has ended, and neither {' nor '.join(_INDEXES)} was in it; {_WRITER}"
            )

    def _take(self, entry: TarMember) -> None:
        start = b""

        def read_head(offset: int, count: int) -> bytes:
            nonlocal start
            start = self._read(offset, min(START_SIZE, entry.size))
            return start[:count]

        member = self.files.table.add(entry, read_head)
        if not member or member.sparse:
            return
        compression = compression_of_layer(member.name, start)
        if compression is None and self.files.has_room_for(member):
            rest = self._read(self._position, member.size - len(start))
            self._check(member, len(start) + len(rest))
            self.files.keep(member, start + rest)
            return
        if compression is None:
            self._count_kept()
        else:
            self._wait_for_room()
        arrival = Arrival(member, compression, self._changed)
        self.files.arrivals[member] = arrival
        if compression is None:
            logger.debug("%s is kept in %s until all has come", member.name, tempfile.gettempdir())
        else:
            self._announce(arrival)
        self._receive(arrival, start)

    def _count_kept(self) -> None:
        self._kept += 1
        if self._kept > _MOST_KEPT:
            raise TarReadError(
                f"{_NAME} has more than {_MOST_KEPT} large files that are neither layers nor "
                "documents; pipe in what docker save writes, not a file system"
            )

    def _wait_for_room(self) -> None:
        def has_room() -> bool:
            waiting = sum(not one.settled for one in self._layers)
            return self._pipe.interrupted or waiting < self._ahead

        with self._changed:
            self._changed.wait_for(has_room)

    def _announce(self, layer: Arrival) -> None:
        with self._changed:
            self._layers.append(layer)
            self._listener()

    def _receive(self, arrival: Arrival, start: bytes) -> None:
        member = arrival.member
        arrival.write(memoryview(start))
        while not arrival.complete:
            count = self._fill(self._block[: member.size - arrival.written])
            self._check(member, arrival.written + count, at_least=arrival.written + 1)
            arrival.write(self._block[:count])

    def _check(self, member: Member, count: int, at_least: int | None = None) -> None:
        if count < (member.size if at_least is None else at_least):
            raise TarReadError(f"{_NAME} ends in the middle of {member.name}; {_WRITER}")

    def _read(self, offset: int, count: int) -> bytes:
        """``count`` bytes from ``offset``, which is not behind; fewer at the end."""
        while offset > self._position:
            if not self._fill(self._block[: offset - self._position]):
                return b""
        content = bytearray(count)
        return bytes(content[: self._fill(memoryview(content))])

    def _fill(self, buffer: memoryview) -> int:
        """Fill ``buffer``, and return the count of bytes: fewer than it holds only at the end."""
        filled = 0
        stream = cast(io.RawIOBase, self._stream)
        while filled < len(buffer) and (count := stream.readinto(buffer[filled:])):
            filled += count
        self._position += filled
        if self._position > longest_content(self._pipe.count):
            raise TarReadError(f"{_NAME} holds more than its compressed bytes may")
        return filled


class StreamFiles(ArchiveFiles):
    """The files of a tar that came over a pipe. Those that have been dropped cannot be read."""

    path = _NAME
    remote = True

    def __init__(self) -> None:
        self.table = MemberTable(_NAME)
        self.arrivals: dict[Member, Arrival] = {}
        self._kept: dict[Member, bytes] = {}
        self._room = MAX_DOCUMENTS

    def find(self, name: str) -> Member | None:
        """As ``MemberTable.find``."""
        return self.table.find(name)

    def has_room_for(self, member: Member) -> bool:
        """Whether the member can be kept in memory."""
        return member.size <= min(MAX_JSON, self._room)

    def keep(self, member: Member, content: bytes) -> None:
        """Keep a member in memory."""
        self._kept[member] = content
        self._room -= len(content)

    def known_digest(self, member: Member) -> str | None:
        arrival = self.arrivals.get(member)
        return arrival.digest() if arrival else None

    def open(self, member: Member) -> Reader:
        """Start reading a member.

        Raises:
            TarReadError: it has been sent, and dropped.
        """
        arrival = self.arrivals.get(member)
        if not arrival:
            return BytesReader(self._kept[member])
        if arrival.dropped:
            raise TarReadError(
                f"{member.name} was sent as {arrival.digest()}, and {_NAME} cannot be read again: "
                "either the archive says something else of it, or a registry has lost it; push it "
                "from a file"
            )
        return ArrivalReader(arrival)


def _nobody() -> None:
    return None
