"""The records of jobs: read from Redis, changed by scripts, failed if they cannot be read."""

import logging
from collections.abc import Iterable, Sequence
from typing import Any

from push_queue.errors import RedisRefusedError, UnreadableJobError
from push_queue.jobs.codec import (
    NO_HASH,
    decode,
    invalid_job,
    is_newer,
    one_line,
    parse_status,
)
from push_queue.redis.database import Database
from push_queue.redis.errors import is_of_another_type

logger = logging.getLogger(__name__)


class JobRecords:
    """The jobs' hashes of one namespace."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys = database.keys

    async def read(self, job_ids: Sequence[str]) -> list[dict[str, str]]:
        """The jobs' hashes; empty where there is no such job."""
        async with self._database.pipeline() as pipeline:
            for job_id in job_ids:
                pipeline.hgetall(self._keys.job(job_id))
            replies = await pipeline.execute(raise_on_error=False)
            for reply in replies:
                if isinstance(reply, Exception) and not is_of_another_type(reply):
                    raise reply
        return [NO_HASH if isinstance(reply, Exception) else decode(reply) for reply in replies]

    async def run(self, name: str, job_id: str, arguments: Iterable[str | int] = ()) -> Any:
        """The result of a script about a job.

        Raises:
            UnreadableJobError: the script could not read the job's record; the job is ``failed``
            now. RedisUnavailableError: Redis fails.
        """
        try:
            return await self._database.run_on_job(name, job_id, arguments)
        except RedisRefusedError:
            if await self.end_if_unreadable(job_id):
                raise UnreadableJobError(
                    f"the record of job {job_id} cannot be read: enqueue it again, with another id"
                ) from None
            raise

    async def end_if_unreadable(self, job_id: str) -> bool:
        """Whether the job's record cannot be read.

        Then the job is ``failed`` with ``invalid_job`` now. Only newer workers can judge a job of a
        newer format. A job whose record is gone leaves the indexes.
        """
        (fields,) = await self.read([job_id])
        if is_newer(fields):
            return False
        try:
            parse_status(fields)
        except UnreadableJobError as error:
            return await self.invalidate(job_id, str(error))
        return False

    async def invalidate(self, job_id: str, damage: str) -> bool:
        """End a job whose record is damaged; False if there was nothing to end."""
        error = invalid_job(damage)["error"]
        ended = bool(await self._database.run_on_job("invalidate", job_id, [one_line(error)]))
        if ended:
            logger.error("job %s: failed: %s", job_id, error, extra={"job": job_id})
        return ended
