"""The sources of jobs: which file is pushed, and who deletes it."""

from dataclasses import dataclass

from push_queue.database import Database
from push_queue.models import Assignment


@dataclass(frozen=True, slots=True)
class Leave:
    """A job has left those that need its source."""

    last: bool
    unwanted: frozenset[str]
    """The files that earlier ones asked the last to delete, as they called them."""


class JobSources:
    """The sources of one namespace.

    Every method raises :class:`~push_queue.RedisUnavailableError` when Redis fails it, and is
    safe to send twice.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def note(self, assignment: Assignment, seen: str) -> str | None:
        """What the job's source is: as its first attempt to open it has ``seen`` it.

        A job that is enqueued again begins anew. None when the job is no longer this worker's.
        """
        noted = await self._database.run_on_job(
            "note_source", assignment.job.id, [assignment.fence, seen]
        )
        return noted.decode() if noted else None

    async def leave(self, job_id: str, unwanted: str | None) -> Leave | None:
        """The job, all of whose targets are done, needs its source no longer; None if some are not.

        Where it is not the last, the file called ``unwanted`` is to be deleted by the last.
        """
        match await self._database.run_on_job("leave_source", job_id, [unwanted or ""]):
            case [last, *files]:
                return Leave(bool(last), frozenset(name.decode() for name in files))
        return None

    async def note_cleanup(self, job_id: str, outcome: str) -> None:
        """Write down what became of the source of a job that is final."""
        await self._database.run_on_job("note_cleanup", job_id, [outcome])
