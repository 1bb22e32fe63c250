"""The record of an upload, beside its bytes."""

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Self

from pydantic import BaseModel, ConfigDict, NonNegativeInt, ValidationError

from producer.errors import UnknownUploadError, UploadBusyError
from push_queue.models.uploads import source_of

MODE = 0o640
"""Workers may run as another user of the same group."""
_MOST_BYTES = 4096


class UploadRecord(BaseModel):
    """The file ``<id>.json``, whose time of change says when the upload was last needed."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    owner: str | None = None
    """The caller whose upload it is; None where callers are not told apart."""
    length: NonNegativeInt | None = None
    """In bytes, as far as known before it is complete."""
    digest: str | None = None
    """Of a complete upload."""

    @classmethod
    def read(cls, record: int) -> Self:
        """The record in an open file.

        Raises:
            ValueError: there is no valid one.
        """
        return cls.model_validate_json(os.pread(record, _MOST_BYTES, 0))

    def write(self, record: int) -> None:
        """Write it into an open file, which keeps its lock."""
        text = self.model_dump_json().encode()
        os.pwrite(record, text, 0)
        os.ftruncate(record, len(text))


@contextmanager
def opened(path: Path) -> Iterator[int]:
    """The record's file within the block.

    Raises:
        UnknownUploadError: there is none.
        OSError: the folder is away, so nobody knows.
    """
    try:
        record = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        path.parent.stat()
        raise UnknownUploadError(path.stem) from None
    try:
        yield record
    finally:
        os.close(record)


def read(record: int, upload_id: str) -> UploadRecord:
    """The record in an open file.

    Raises:
        UnknownUploadError: no valid record, as after a power cut.
    """
    try:
        return UploadRecord.read(record)
    except ValidationError:
        raise UnknownUploadError(upload_id) from None


def lock(record: int, upload_id: str) -> None:
    """Be the only one who changes the upload, until the file is closed.

    Raises:
        UploadBusyError: somebody else is.
        UnknownUploadError: it was deleted meanwhile.
    """
    try:
        fcntl.flock(record, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        raise UploadBusyError(
            f"{source_of(upload_id)} is being written by another request; wait until that ends"
        ) from None
    check_there(record, upload_id)


def hold(record: int, upload_id: str) -> None:
    """Keep the upload from being deleted, until the file is closed.

    Raises:
        UnknownUploadError: it was deleted meanwhile.
    """
    fcntl.flock(record, fcntl.LOCK_SH)
    check_there(record, upload_id)


def check_there(record: int, upload_id: str) -> None:
    if not os.fstat(record).st_nlink:
        raise UnknownUploadError(upload_id)
