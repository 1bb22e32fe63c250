"""Deletes uploads at once that would else be kept for a while."""

import time
from contextlib import suppress

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from producer.errors import UnknownUploadError, UploadBusyError
from producer.queue_reader import QueueReader
from producer.spool.spool import Spool
from push_queue.models.uploads import source_of

UNTOUCHED_SECONDS = 600
"""One that was used since then may be about to be enqueued or continued."""


class PurgedUploads(BaseModel):
    """How many uploads there were that nobody needs."""

    model_config = ConfigDict(frozen=True)

    uploads: NonNegativeInt
    """Uploads that were deleted, or would be."""
    bytes: NonNegativeInt
    """Bytes that they took together."""


async def purge_uploads(spool: Spool, queue: QueueReader, *, dry_run: bool) -> PurgedUploads:
    """Delete the uploads that no unfinished job names and nobody has used for ten minutes.

    With ``dry_run`` they are only counted.

    Raises:
        RedisUnavailableError: nothing was deleted.
    """
    oldest = time.time() - UNTOUCHED_SECONDS
    ids = await spool.run(spool.ids)
    needed = await queue.needed_sources(map(source_of, ids))
    unneeded = [upload_id for upload_id in ids if source_of(upload_id) not in needed]
    return await spool.run(_purge, spool, unneeded, oldest, dry_run)


def _purge(spool: Spool, ids: list[str], oldest: float, dry_run: bool) -> PurgedUploads:
    sizes = []
    for upload_id in ids:
        # Another server may delete it, or a request write it.
        with suppress(UnknownUploadError, UploadBusyError):
            upload = spool.find(upload_id)
            if upload.needed_at > oldest:
                continue
            if not dry_run:
                spool.discard(upload_id, untouched_since=oldest)
            sizes.append(upload.offset)
    return PurgedUploads(uploads=len(sizes), bytes=sum(sizes))
