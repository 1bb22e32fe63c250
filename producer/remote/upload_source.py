"""What is uploaded: a file, or standard input, which can be read only once."""

import asyncio
import os
from collections.abc import AsyncGenerator
from contextlib import suppress
from pathlib import Path
from threading import Thread
from typing import BinaryIO, Protocol

from producer.errors import UploadError

BLOCK_BYTES = 1 << 20
PART_BYTES = 16 << 20
"""Bytes of a stream in one request, which are kept until they have arrived."""


class Part(Protocol):
    """Bytes that one request brings."""

    size: int
    last: bool
    """Whether there are none after them."""

    def blocks(self) -> AsyncGenerator[bytes, None]:
        """The bytes.

        Raises:
            UploadError: they cannot be read.
        """


class UploadSource(Protocol):
    """Where bytes come from."""

    name: str
    length: int | None
    """None if unknown."""

    async def part(self, offset: int) -> Part:
        """The bytes from ``offset`` on.

        Raises:
            UploadError: they cannot be read, or not any more.
        """


class FileSource:
    """A file. A request brings all that is left."""

    def __init__(self, path: Path) -> None:
        """Raises UploadError if it cannot be read."""
        self.name = str(path)
        self._path = path
        try:
            self.length: int | None = path.stat().st_size
        except OSError as error:
            raise _unreadable(self.name, error) from None

    async def part(self, offset: int) -> Part:
        return _FilePart(self._path, offset, (self.length or 0) - offset)


class _FilePart:
    last = True

    def __init__(self, path: Path, offset: int, size: int) -> None:
        self._path = path
        self._offset = offset
        self.size = size

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        left = self.size
        try:
            file = await asyncio.to_thread(os.open, self._path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                while left:
                    position = self._offset + self.size - left
                    block = await asyncio.to_thread(
                        os.pread, file, min(left, BLOCK_BYTES), position
                    )
                    if not block:
                        raise UploadError(f"{self._path} became shorter while it was read")
                    left -= len(block)
                    yield block
            finally:
                os.close(file)
        except OSError as error:
            raise _unreadable(self._path, error) from None


class StreamSource:
    """A stream. What has not been acknowledged is kept."""

    length: int | None = None

    def __init__(self, name: str, stream: BinaryIO) -> None:
        self.name = name
        self._stream = stream
        self._start = 0
        self._kept = b""
        self._ended = False

    async def part(self, offset: int) -> Part:
        kept_end = self._start + len(self._kept)
        if not self._start <= offset <= kept_end:
            raise UploadError(
                f"the server has {offset} bytes of {self.name}, which cannot be read again from "
                "there; write it to a file, and upload that"
            )
        if offset == kept_end and not self._ended:
            self._kept = await _read(self.name, self._stream, PART_BYTES)
            self._start = offset
            self._ended = len(self._kept) < PART_BYTES
        return _StreamPart(self._kept[offset - self._start :], self._ended)


class _StreamPart:
    def __init__(self, content: bytes, last: bool) -> None:
        self._content = content
        self.size = len(content)
        self.last = last

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        for start in range(0, self.size, BLOCK_BYTES):
            yield self._content[start : start + BLOCK_BYTES]


async def _read(name: str, stream: BinaryIO, size: int) -> bytes:
    """Read that many bytes, or up to the end of the stream.

    A thread of its own, which nobody waits for: the writer may never write.
    """
    loop = asyncio.get_running_loop()
    read: asyncio.Future[bytes] = loop.create_future()

    def tell(content: bytes | None, error: OSError | None) -> None:
        if read.done():
            return
        if error:
            read.set_exception(_unreadable(name, error))
        else:
            read.set_result(content or b"")

    def work() -> None:
        content, failure = None, None
        try:
            content = stream.read(size)
        except OSError as error:
            failure = error
        with suppress(RuntimeError):  # the command has ended
            loop.call_soon_threadsafe(tell, content, failure)

    Thread(target=work, daemon=True).start()
    return await read


def _unreadable(name: str | Path, error: OSError) -> UploadError:
    return UploadError(f"{name} cannot be read: {error.strerror}")
