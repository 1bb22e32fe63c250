"""The writer of an upload."""

import hashlib
import os
import threading
from contextlib import ExitStack
from typing import Any, Self

from producer.errors import (
    OffsetError,
    SpoolFullError,
    UploadCompleteError,
    UploadDigestError,
    UploadLengthError,
)
from producer.spool import record as records
from producer.spool.disk import writing_to_disk
from producer.spool.spool import Spool
from push_queue.models.uploads import source_of, tar_of

BLOCK_BYTES = 1 << 20
GRANTED_BYTES = 16 << 20
"""The most bytes to write before checking again that there is room."""


class UploadWriter:
    """Appends to an upload, and hashes what it appends. All methods block, one at a time.

    What is written stays if the writer goes, or is killed. Close it.
    """

    def __init__(self, spool: Spool, upload_id: str) -> None:
        """Be the only writer.

        Raises:
            UnknownUploadError: there is no such upload.
            UploadBusyError: somebody else writes it.
            UploadCompleteError: it is complete.
        """
        self._spool = spool
        self._id = upload_id
        self._turn = threading.Lock()
        self._granted = 0
        self._digest: Any = None
        with ExitStack() as stack:
            self._record = stack.enter_context(records.opened(spool.record_path(upload_id)))
            records.lock(self._record, upload_id)
            self._known = records.read(self._record, upload_id)
            if spool.find(upload_id).complete:
                raise UploadCompleteError(
                    f"{source_of(upload_id)} is complete already; name it as the source of a job"
                )
            flags = os.O_RDWR | os.O_APPEND | os.O_CLOEXEC
            self._part = os.open(spool.part_path(upload_id), flags)
            stack.callback(os.close, self._part)
            self._files = stack.pop_all()
        self.offset = os.fstat(self._part).st_size

    @property
    def all_here(self) -> bool:
        """Whether it is as long as it is to be."""
        return self.offset == self._known.length

    def begin(self, offset: int, length: int | None, coming: int | None) -> None:
        """Get ready for ``coming`` bytes from ``offset`` on.

        Raises:
            OffsetError: the upload ends elsewhere.
            UploadLengthError: the upload is to have another length.
            UploadTooLargeError: there could never be room for it.
            SpoolFullError: there is no room for them now, or the disk takes nothing.
        """
        with self._turn:
            if offset != self.offset:
                raise OffsetError(self._id, self.offset, offset)
            new = length is not None and self._known.length is None
            if new:
                self._known = self._known.model_copy(update={"length": length})
            if length not in (None, self._known.length):
                raise self._wrong_length(length)
            self._check_end(offset + (coming or 0))
            self._spool.room.check_length(self._known.length or 0)
            self._spool.room.check(coming or 0)
            if new:
                # Only now: of a request that is refused nothing stays.
                with writing_to_disk():
                    self._known.write(self._record)
            self._digest = self._spool.hashes.take(self._id, offset) or self._hash_again()

    def write(self, block: bytes) -> None:
        """Append a block.

        Raises:
            UploadLengthError: it goes beyond the length that the upload is to have.
            UploadTooLargeError: there could never be room for all.
            SpoolFullError: there is no room for it now.
        """
        with self._turn:
            self._check_end(self.offset + len(block))
            if len(block) > self._granted:
                self._granted = min(self._spool.room.check(len(block)), GRANTED_BYTES)
            self._granted -= len(block)
            try:
                with writing_to_disk():
                    _write_all(self._part, block)
            except SpoolFullError:
                self._digest, self.offset = None, os.fstat(self._part).st_size
                raise
            self.offset += len(block)
            self._digest.update(block)

    def finish(self, expected: str | None) -> None:
        """Complete the upload. From then on it survives a power cut.

        Raises:
            UploadLengthError: bytes are missing.
            UploadDigestError: it is not what was ``expected``; it is gone then.
            SpoolFullError: the disk takes nothing; it can be completed later.
        """
        with self._turn:
            if self._known.length not in (None, self.offset):
                raise self._wrong_length(self.offset)
            digest = f"sha256:{self._digest.hexdigest()}"
            if expected not in (None, digest):
                self._delete()
                raise UploadDigestError(
                    f"what arrived is {digest}, not {expected}; upload it again"
                )
            self._known = self._known.model_copy(update={"digest": digest, "length": self.offset})
            with writing_to_disk():
                os.fsync(self._part)
                self._known.write(self._record)
                part, tar = self._spool.part_path(self._id), tar_of(self._spool.folder, self._id)
                part.rename(tar)
                self._digest = None
                _sync(self._spool.folder)

    def close(self) -> None:
        """Let others write it."""
        with self._turn:
            if self._digest:
                self._spool.hashes.keep(self._id, self.offset, self._digest)
            os.utime(self._record)
            self._files.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_end(self, end: int) -> None:
        if self._known.length is not None and end > self._known.length:
            raise self._wrong_length(end)
        self._spool.room.check_length(end)

    def _wrong_length(self, given: int | None) -> UploadLengthError:
        return UploadLengthError(
            f"{source_of(self._id)} is to have {self._known.length} bytes by its Upload-Length, "
            f"not {given}; send just these, or begin another upload"
        )

    def _hash_again(self) -> Any:
        digest = hashlib.sha256()
        for start in range(0, self.offset, BLOCK_BYTES):
            digest.update(os.pread(self._part, BLOCK_BYTES, start))
        return digest

    def _delete(self) -> None:
        self._digest = None
        self._spool.part_path(self._id).unlink()
        self._spool.record_path(self._id).unlink()


def _write_all(file: int, block: bytes) -> None:
    left = memoryview(block)
    while left:
        left = left[os.write(file, left) :]


def _sync(folder: os.PathLike[str]) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
