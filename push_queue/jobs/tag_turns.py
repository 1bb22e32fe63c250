"""Which job may write a tag: one after the other, and the last one enqueued wins."""

from push_queue.jobs.tag_writes import TagWrite
from push_queue.models.assignments import Assignment, Turn
from push_queue.redis.database import Arguments, Database
from push_queue.settings import TAG_WATCH_SECONDS

TAG_SECONDS = 30 * 24 * 3600
"""A tag's last writer is remembered for longer than an older job can last."""


class TagTurns:
    """The turns of jobs to write tags.

    A tag is watched for ``watch_seconds`` after a write of unknown outcome. Every method raises
    :class:`RedisUnavailableError` when Redis fails, and may be called twice: the second
    call finds its work done.
    """

    def __init__(self, database: Database, watch_seconds: int = TAG_WATCH_SECONDS) -> None:
        self._database = database
        self._keys = database.keys
        self._watch_ms = watch_seconds * 1000

    async def take(self, assignment: Assignment, write: TagWrite, seconds: float) -> Turn:
        """Ask for the turn to write a tag, for ``seconds``."""
        arguments: Arguments = [
            assignment.fence,
            write.target,
            write.token,
            int(seconds * 1000),
            write.note,
            self._watch_ms,
        ]
        answer = await self._database.run_on_job("take_turn", assignment.job.id, arguments)
        return Turn(answer.decode())

    async def renew(self, write: TagWrite, seconds: float) -> bool:
        """Hold the turn for another ``seconds``. False if it has expired."""
        keys = [self._keys.tag_writer(write.target), self._keys.writes]
        arguments: Arguments = [write.token, int(seconds * 1000), write.note, self._watch_ms]
        return bool(await self._database.run("plain/renew_turn", keys, arguments))

    async def end(
        self, assignment: Assignment, write: TagWrite, *, written: bool, settled: bool = True
    ) -> bool:
        """End the turn. If the tag is ``written``, this target of the job is done.

        ``settled`` says that the registry has answered every request. Returns False if the turn had
        expired: another job may have written the tag.
        """
        arguments: Arguments = [
            write.target,
            write.token,
            write.digest if written else "",
            TAG_SECONDS,
            write.note,
            self._watch_ms,
            int(settled),
        ]
        answer = await self._database.run_on_job("end_turn", assignment.job.id, arguments)
        return bool(answer == b"done")
