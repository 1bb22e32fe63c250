"""Deletes uploads that nobody needs any more."""

import asyncio
import logging

from producer.errors import SpoolUnavailableError
from producer.queue_reader import QueueReader
from producer.spool.spool import Spool
from push_queue.errors import RedisUnavailableError
from push_queue.models.uploads import source_of

logger = logging.getLogger(__name__)

LOOK_SECONDS = 60.0


async def expire(spool: Spool, queue: QueueReader) -> None:
    """Keep what unfinished jobs name, and delete what has not been needed for too long.

    Raises:
        RedisUnavailableError: nothing was deleted.
        SpoolUnavailableError: not all was deleted.
    """
    ids = await spool.run(spool.ids)
    sources = await queue.needed_sources(map(source_of, ids))
    needed = frozenset(upload_id for upload_id in ids if source_of(upload_id) in sources)
    await spool.run(spool.expire, needed)


async def keep_expiring(spool: Spool, queue: QueueReader) -> None:
    """Do so at intervals, until cancelled."""
    while True:
        try:
            await expire(spool, queue)
        except (RedisUnavailableError, SpoolUnavailableError) as error:
            logger.warning("old uploads are not deleted yet: %s", error)
        await asyncio.sleep(min(LOOK_SECONDS, spool.keep_seconds))
