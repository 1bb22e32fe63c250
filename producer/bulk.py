"""Change all jobs that match a filter, page by page."""

from collections.abc import Callable
from enum import StrEnum
from typing import TypedDict

from producer.queue import SENT_AT_ONCE, PushQueue
from push_queue.errors import InvalidFilterError
from push_queue.jobs.store import Jobs
from push_queue.models.job_filter import JobFilter
from push_queue.models.job_status import FINAL_STATES, JobsPage, JobState, JobStatus


class BulkAction(StrEnum):
    """What is done with each job."""

    CANCEL = "cancel"
    RETRY = "retry"
    PURGE = "purge"


UNFINISHED_STATES = tuple(state for state in JobState if not state.final)

STATES = {
    BulkAction.CANCEL: UNFINISHED_STATES,
    BulkAction.RETRY: FINAL_STATES,
    BulkAction.PURGE: FINAL_STATES,
}
"""The states of the jobs that it changes."""


class BulkOptions(TypedDict, total=False):
    """The keywords of ``BulkChanges.change``."""

    before: int | None
    limit: int
    dry_run: bool
    caller: str | None
    owns: Callable[[JobStatus], bool]


class BulkChanges:
    """Changes jobs of a queue."""

    def __init__(self, queue: PushQueue) -> None:
        self._queue = queue
        jobs = Jobs(queue.database)
        self._changes = {
            BulkAction.CANCEL: jobs.cancel_all,
            BulkAction.RETRY: jobs.requeue_all,
            BulkAction.PURGE: jobs.purge_all,
        }

    async def change(
        self,
        action: BulkAction,
        wanted: JobFilter,
        *,
        before: int | None = None,
        limit: int = 100,
        dry_run: bool = False,
        caller: str | None = None,
        owns: Callable[[JobStatus], bool] = lambda _: True,
    ) -> JobsPage:
        """Change the next jobs that match, and return them as they are then, or were at last.

        The pages are those of ``PushQueue.find``, the last enqueued first. Without a state, those
        jobs are enqueued again that have failed; never those whose source is deleted. With
        ``dry_run`` nothing is changed. No jobs are found but those for which ``owns`` is true.

        Raises:
            InvalidFilterError: it does not say which jobs, or no job in that state can be changed.
        """
        wanted, states = checked(action, wanted), STATES[action]
        page = await self._queue.find(
            wanted,
            before=before,
            limit=limit,
            among=lambda job: job.state in states and owns(job),
        )
        if action is BulkAction.RETRY:
            jobs = await self._queue.with_source(page.jobs)
            page = page.model_copy(update={"jobs": jobs})
        if dry_run:
            return page
        ids = [job.id for job in page.jobs]
        change = self._changes[action]
        for first in range(0, len(ids), SENT_AT_ONCE):
            await change(ids[first : first + SENT_AT_ONCE], caller=caller)
        if action is BulkAction.PURGE:
            return page
        # Some may have expired since.
        now = await self._queue.look_up(ids)
        return JobsPage(jobs=tuple(now[one] for one in ids if one in now), next=page.next)


def checked(action: BulkAction, wanted: JobFilter) -> JobFilter:
    """The filter, with the state that is meant where none is given.

    Raises:
        InvalidFilterError: it does not say which jobs, or no job in that state can be changed.
    """
    if wanted.selects_all:
        raise InvalidFilterError(f"say which jobs: {', '.join(JobFilter.model_fields)}")
    if wanted.state is None:
        state = JobState.FAILED if action is BulkAction.RETRY else None
        return wanted.model_copy(update={"state": state})
    if wanted.state not in STATES[action]:
        raise InvalidFilterError(
            f"state: a job that is {wanted.state} stays so; use {', '.join(STATES[action])}"
        )
    return wanted
