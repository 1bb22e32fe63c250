"""One pass over a blob: read, verify, encode, hash and hand out, block by block.

Reading, hashing and compressing happen on threads; several blocks are compressed at the same time
and come out in order. Memory use is a few blocks, whatever the size of the blob.
"""

import asyncio
import hashlib
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self, TypeVar

from ..archive.files import ArchiveFiles, Member, Reader
from ..descriptors import sha256
from ..exceptions import ArchiveDigestError
from ..observer import NOBODY, Observer
from .blocks import BlockPool
from .compression import BLOCK_SIZE, AsIs, Encoder, encode

T = TypeVar("T")

_SEND_SIZE = 256 << 10
"""Bytes handed to the socket at a time. Progress and time-outs are checked in between."""


@dataclass(frozen=True, slots=True)
class _Block:
    buffer: bytearray
    length: int
    parts: Sequence[bytes]
    checksum: int


def encode_small(
    reader: Reader,
    member: Member,
    digest: str | None,
    encoder: Encoder,
    observer: Observer = NOBODY,
) -> bytes:
    """All of a blob of at most BLOCK_SIZE bytes, encoded. Blocking.

    Raises:
        ArchiveDigestError: its bytes do not have that ``digest``.
        TarReadError: the tar ends early.
    """
    with reader:
        buffer = bytearray(member.size)
        reader.readinto(memoryview(buffer))
    _verify(member, digest, sha256(buffer))
    parts, checksum = encode(encoder, memoryview(buffer), observer) if buffer else ((), 0)
    encoder.add(checksum, len(buffer))
    return b"".join([encoder.header, *parts, encoder.trailer()])


def hash_member(tar: ArchiveFiles, member: Member) -> str:
    """Digest of a member's stored bytes. Blocking."""
    buffer, digest = bytearray(BLOCK_SIZE), hashlib.sha256()
    with tar.open(member) as reader, memoryview(buffer) as view:
        while count := reader.readinto(view):
            digest.update(view[:count])
    return f"sha256:{digest.hexdigest()}"


class BlobStream:
    """A blob's encoded bytes, to be iterated over once inside ``async with``.

    ``digest`` and ``size`` are those of the encoded bytes, known after the last of them.
    Reading a ``remote`` one waits for a server.
    ``on_sent`` is called with the number of source bytes that have been handed out.
    """

    def __init__(
        self,
        open_reader: Callable[[], Reader],
        member: Member,
        digest: str | None,
        encoder: Encoder,
        pool: BlockPool,
        on_sent: Callable[[int], None],
        *,
        remote: bool = False,
    ) -> None:
        self.size = 0
        self._open_reader = open_reader
        self._remote = remote
        self._reader: Reader | None = None
        self._member = member
        self._stated = digest
        self._encoder = encoder
        self._pool = pool
        self._buffers = pool.borrow()
        self._on_sent = on_sent
        self._source_hash = hashlib.sha256()
        # Bytes that are sent as they are need not be hashed twice.
        self._hash = self._source_hash if isinstance(encoder, AsIs) else hashlib.sha256()
        self._blocks: asyncio.Queue[asyncio.Future[_Block] | None] = asyncio.Queue()
        self._on_threads: set[asyncio.Future[Any]] = set()
        self._feeder: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None

    @property
    def digest(self) -> str:
        return f"sha256:{self._hash.hexdigest()}"

    async def __aenter__(self) -> Self:
        self._feeder = asyncio.create_task(self._feed())
        return self

    async def __aexit__(self, *_: object) -> None:
        # In a task of its own, so that a cancellation leaves nothing open.
        self._ending = asyncio.create_task(self._end())
        await asyncio.shield(self._ending)

    async def _end(self) -> None:
        if self._feeder:
            self._feeder.cancel()
            # A thread uses the file and the buffers until it ends, also when it is interrupted.
            if self._reader and self._remote:
                self._reader.interrupt()
            await asyncio.gather(self._feeder, *self._on_threads, return_exceptions=True)
        self._buffers.close()
        if self._reader:
            self._reader.close()

    async def __aiter__(self) -> AsyncIterator[memoryview]:
        start = [self._encoder.header]
        while started := await self._blocks.get():
            block = await started
            self._encoder.add(block.checksum, block.length)
            async for piece in self._hand_out([*start, *block.parts]):
                yield piece
            start = []
            # Not earlier: no more may wait to be sent than there are buffers.
            self._buffers.give_back(block.buffer)
            self._on_sent(block.length)
        if self._feeder:
            await self._feeder
        async for piece in self._hand_out([*start, self._encoder.trailer()]):
            yield piece

    async def _hand_out(self, parts: Sequence[bytes]) -> AsyncIterator[memoryview]:
        """Hand out in pieces, and hash at the same time."""
        self.size += sum(map(len, parts))
        hashing = None
        if self._hash is not self._source_hash:
            hashing = self._start(self._hash_all, parts)
        for part in parts:
            view = memoryview(part)
            for start in range(0, len(view), _SEND_SIZE):
                yield view[start : start + _SEND_SIZE]
        if hashing:
            await hashing

    def _hash_all(self, parts: Iterable[bytes]) -> None:
        for part in parts:
            self._hash.update(part)

    async def _feed(self) -> None:
        """Read in order; start to encode each block as soon as it is read."""
        left = self._member.size
        try:
            while left:
                buffer = await self._buffers.take()
                length = await asyncio.shield(self._start_reading(buffer))
                left -= length
                self._blocks.put_nowait(self._start(self._encode, buffer, length))
            _verify(self._member, self._stated, f"sha256:{self._source_hash.hexdigest()}")
        finally:
            self._blocks.put_nowait(None)

    def _start(self, work: Callable[..., T], *args: Any) -> asyncio.Future[T]:
        return self._kept(self._pool.start(work, *args))

    def _start_reading(self, buffer: bytearray) -> asyncio.Future[int]:
        return self._kept(self._pool.start_reading(self._remote, self._read, buffer))

    def _kept(self, future: asyncio.Future[T]) -> asyncio.Future[T]:
        self._on_threads.add(future)
        future.add_done_callback(self._on_threads.discard)
        return future

    def _read(self, buffer: bytearray) -> int:
        # Opened here, on a thread: in a compressed tar it may take long to get to a member.
        if self._reader is None:
            self._reader = self._open_reader()
        view = memoryview(buffer)
        length = self._reader.readinto(view)
        self._source_hash.update(view[:length])
        return length

    def _encode(self, buffer: bytearray, length: int) -> _Block:
        block = memoryview(buffer)[:length]
        return _Block(buffer, length, *encode(self._encoder, block, self._pool.observer))


def _verify(member: Member, stated: str | None, actual: str) -> None:
    if stated and stated != actual:
        raise ArchiveDigestError(
            f"{member.name} has digest {actual}, but the archive says {stated}"
        )
