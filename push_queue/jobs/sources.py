"""The sources of jobs: which file is pushed, and who deletes it."""

from collections.abc import Sequence
from dataclasses import dataclass

from push_queue.jobs.records import JobRecords
from push_queue.models.assignments import Assignment
from push_queue.models.job_status import FINAL_STATES
from push_queue.redis.database import Database

DELETED = "deleted"
GONE = "gone already"
"""What happened to a source that is not there any more."""


@dataclass(frozen=True, slots=True)
class Leave:
    """The answer to a job that no longer needs its source."""

    last: bool
    """No other unfinished job needs it."""
    unwanted: frozenset[str]
    """The files that earlier jobs left for the last one to delete, by the names they noted."""


class JobSources:
    """The sources of one namespace.

    Every method raises :class:`RedisUnavailableError` when Redis fails, and may be
    called twice.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, assignment: Assignment, seen: str) -> str | None:
        """Note how this attempt has ``seen`` the source. Returns the note of the first attempt.

        After ``requeue`` the next attempt is the first. Returns None if the job is no longer this
        worker's.
        """
        noted = await self._database.run_on_job(
            "note_source", assignment.job.id, [assignment.fence, seen]
        )
        return noted.decode() if noted else None

    async def leave(self, job_id: str, unwanted: str | None) -> Leave | None:
        """Say that the job no longer needs its source. None if some of its targets are not done.

        If it is not the last to leave, the last one deletes the file that it calls ``unwanted``.
        """
        match await self._database.run_on_job("leave_source", job_id, [unwanted or ""]):
            case [last, *files]:
                return Leave(bool(last), frozenset(name.decode() for name in files))
        return None

    async def note_cleanup(self, job_id: str, outcome: str) -> None:
        """Record what happened to the source of a final job."""
        await self._database.run_on_job("note_cleanup", job_id, [outcome])

    async def needed(self, sources: Sequence[str]) -> frozenset[str]:
        """Those of the sources that unfinished jobs name."""
        keys = self._database.keys
        async with self._database.pipeline() as pipeline:
            for source in sources:
                pipeline.smembers(keys.source(source))
            users = await pipeline.execute()
        ids = [[member.decode() for member in members] for members in users]
        records = iter(await JobRecords(self._database).read([one for each in ids for one in each]))
        # The record of one in the set may be lost: it is taken out with the next that ends.
        states = [[next(records).get("state", "") for _ in each] for each in ids]
        return frozenset(
            source
            for source, found in zip(sources, states, strict=True)
            if any(state and state not in FINAL_STATES for state in found)
        )
