"""The uploads of a spool. All methods but ``run`` block."""

import asyncio
import logging
import os
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import ParamSpec, Self, TypeVar

from producer.errors import (
    CannotStartError,
    SpoolBusyError,
    SpoolFullError,
    SpoolUnavailableError,
    UnknownUploadError,
    UploadBusyError,
    UploadIncompleteError,
)
from producer.spool import record as records
from producer.spool.disk import check_usable, writing_to_disk
from producer.spool.hashes import Hashes
from producer.spool.record import UploadRecord
from producer.spool.room import Room
from push_queue.models.ids import new_upload_id
from push_queue.models.uploads import is_upload_id, tar_of
from push_queue.settings import Settings

logger = logging.getLogger(__name__)

MOST_WRITERS = 100
"""Uploads that one server takes at once; each keeps a block in memory."""
NOTHING_LEFT_SECONDS = 60.0
"""How long the record of a tar stays that a worker has deleted."""

_THREADS = 8

Parameters = ParamSpec("Parameters")
Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class Upload:
    """The state of an upload."""

    id: str
    owner: str | None
    length: int | None
    """None while unknown."""
    offset: int
    """Bytes that are here."""
    complete: bool
    digest: str | None
    """Of a complete one: ``sha256:…``."""
    needed_at: float
    """When it was last written or needed, in Unix time."""


class Spool:
    """Uploads in a folder: ``<id>.json`` with ``<id>.part``, and ``<id>.tar`` once complete."""

    def __init__(self, folder: Path, *, quota: int, keep_free: int, keep_seconds: float) -> None:
        self.folder = folder
        self.keep_seconds = keep_seconds
        self.room = Room(folder, quota, keep_free)
        self.hashes = Hashes()
        self._writers = 0
        # So that others do not wait for a volume that hangs.
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="spool")

    @classmethod
    def of(cls, settings: Settings) -> Self | None:
        """The spool of the settings, if they name one.

        Raises:
            CannotStartError: it cannot be used.
        """
        if not settings.spool:
            return None
        spool = cls(
            settings.spool,
            quota=settings.spool_quota,
            keep_free=settings.spool_keep_free,
            keep_seconds=settings.spool_keep_seconds,
        )
        spool.prepare()
        return spool

    async def run(
        self,
        work: Callable[Parameters, Result],
        *args: Parameters.args,
        **kwargs: Parameters.kwargs,
    ) -> Result:
        """Do what blocks in one of the spool's threads.

        Raises:
            SpoolUnavailableError: the folder is away, or cannot be used. The log says where it is.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, partial(work, *args, **kwargs))
        except OSError as error:
            reason = error.strerror or str(error)
            logger.error("the spool %s cannot be used: %s", self.folder, reason)
            raise SpoolUnavailableError(reason) from None

    @contextmanager
    def writing(self) -> Iterator[None]:
        """The time for which a request writes an upload.

        Raises:
            SpoolBusyError: too many do.
        """
        if self._writers >= MOST_WRITERS:
            raise SpoolBusyError(f"{MOST_WRITERS} uploads are under way; try again later")
        self._writers += 1
        try:
            yield
        finally:
            self._writers -= 1

    def prepare(self) -> None:
        """Make the folder if need be.

        Raises:
            CannotStartError: it cannot be made, or not be written to.
        """
        try:
            self.folder.mkdir(mode=0o770, parents=True, exist_ok=True)
            check_usable(self.folder)
        except OSError as error:
            raise CannotStartError(
                f"the spool {self.folder} cannot be used ({error.strerror}); "
                "set PUSH_QUEUE_SPOOL to a folder that this user may write to"
            ) from None

    def create(self, owner: str | None, length: int | None) -> Upload:
        """Begin an upload.

        Raises:
            UploadTooLargeError: there could never be room for it.
            SpoolFullError: there is no room for it now, or the disk takes nothing; nothing stays.
        """
        self.room.check_length(length or 0)
        self.room.check(length or 0)
        upload_id = new_upload_id()
        path = self.record_path(upload_id)
        try:
            with writing_to_disk():
                flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC
                record = os.open(path, flags, records.MODE)
                try:
                    records.lock(record, upload_id)
                    self.part_path(upload_id).touch(records.MODE, exist_ok=False)
                    UploadRecord(owner=owner, length=length).write(record)
                finally:
                    os.close(record)
        except SpoolFullError:
            self.part_path(upload_id).unlink(missing_ok=True)
            path.unlink(missing_ok=True)
            raise
        return self.find(upload_id)

    def find(self, upload_id: str) -> Upload:
        """The upload as it stands.

        Raises:
            UnknownUploadError: there is none.
        """
        with records.opened(self.record_path(upload_id)) as record:
            known = records.read(record, upload_id)
            offset, complete = self._size(upload_id)
            return Upload(
                upload_id,
                known.owner,
                offset if complete else known.length,
                offset,
                complete,
                known.digest if complete else None,
                os.fstat(record).st_mtime,
            )

    def find_complete(self, upload_id: str) -> Upload:
        """The upload, all of which is here.

        Raises:
            UnknownUploadError: there is none.
            UploadIncompleteError: bytes of it are missing.
        """
        upload = self.find(upload_id)
        if not upload.complete:
            raise UploadIncompleteError(upload_id, upload.offset, upload.length)
        return upload

    def claim(self, upload_id: str) -> Path:
        """Keep a complete upload for long enough to enqueue a job that names it.

        Raises:
            UnknownUploadError, UploadIncompleteError: as ``find_complete``.
        """
        self.find_complete(upload_id)
        with records.opened(self.record_path(upload_id)) as record:
            records.hold(record, upload_id)
            os.utime(record)
        return tar_of(self.folder, upload_id)

    def discard(self, upload_id: str, *, untouched_since: float = float("inf")) -> None:
        """Delete it, unless it was needed after that moment.

        Raises:
            UnknownUploadError: there is none.
            UploadBusyError: somebody writes it.
        """
        path = self.record_path(upload_id)
        with records.opened(path) as record:
            records.lock(record, upload_id)
            if os.fstat(record).st_mtime <= untouched_since:
                self.part_path(upload_id).unlink(missing_ok=True)
                tar_of(self.folder, upload_id).unlink(missing_ok=True)
                path.unlink(missing_ok=True)

    def ids(self) -> tuple[str, ...]:
        """All that have a record."""
        # Not by `glob`, which finds nothing in a folder that is away.
        stems = (path.stem for path in self.folder.iterdir() if path.suffix == ".json")
        return tuple(filter(is_upload_id, stems))

    def expire(self, needed: frozenset[str]) -> None:
        """Keep the uploads that are ``needed``, and delete those that were not for too long."""
        now = time.time()
        for upload_id in self.ids():
            # Another server may do the same.
            with suppress(UnknownUploadError, UploadBusyError):
                oldest = now - self._kept_seconds(upload_id)
                with records.opened(self.record_path(upload_id)) as record:
                    if upload_id in needed:
                        os.utime(record)
                    # Without its lock, which a writer may be about to take.
                    old = os.fstat(record).st_mtime <= oldest
                if old:
                    self.discard(upload_id, untouched_since=oldest)

    def record_path(self, upload_id: str) -> Path:
        return self.folder / f"{upload_id}.json"

    def part_path(self, upload_id: str) -> Path:
        return self.folder / f"{upload_id}.part"

    def _size(self, upload_id: str) -> tuple[int, bool]:
        """The bytes that are here, and whether they are all."""
        # In this order: one becomes the other.
        for path, complete in (
            (self.part_path(upload_id), False),
            (tar_of(self.folder, upload_id), True),
        ):
            with suppress(FileNotFoundError):
                return path.stat().st_size, complete
        raise UnknownUploadError(upload_id)

    def _kept_seconds(self, upload_id: str) -> float:
        try:
            self._size(upload_id)
        except UnknownUploadError:
            return NOTHING_LEFT_SECONDS
        return self.keep_seconds
