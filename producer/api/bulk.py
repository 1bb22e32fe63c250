"""Cancel jobs, or enqueue them again, by a filter: page by page, as they are listed."""

from collections.abc import Awaitable, Callable

from aiohttp import web

from producer.api.access.callers import caller_of
from producer.api.answers import answer
from producer.api.context import QUEUE
from producer.api.inputs import bad_request, no_body, query_of
from producer.api.models import BulkQuery, JobPage
from push_queue.errors import UnknownJobError
from push_queue.job_filter import JobFilter
from push_queue.models import FINAL_STATES, JobsPage, JobState, JobStatus

UNFINISHED_STATES = tuple(state for state in JobState if not state.final)


async def cancel_jobs(request: web.Request) -> web.Response:
    """Cancel the unfinished jobs that match, and answer with them as they are then."""
    queue, caller = request.app[QUEUE], caller_of(request)

    async def cancel(job_id: str) -> JobStatus:
        await queue.cancel(job_id, caller=caller.name)
        return await queue.status(job_id)

    return await _change_each(request, await _query(request), UNFINISHED_STATES, cancel)


async def retry_jobs(request: web.Request) -> web.Response:
    """Enqueue again the failed jobs that match, or those in the given final state."""
    queue, caller = request.app[QUEUE], caller_of(request)
    query = await _query(request)
    if query.state is None:
        query = query.model_copy(update={"state": JobState.FAILED})

    async def retry(job_id: str) -> JobStatus:
        return await queue.retry(job_id, caller=caller.name)

    return await _change_each(request, query, FINAL_STATES, retry)


async def _query(request: web.Request) -> BulkQuery:
    await no_body(request)
    query = query_of(request, BulkQuery)
    if not query.model_fields_set & JobFilter.model_fields.keys():
        raise bad_request(f"say which jobs: {', '.join(JobFilter.model_fields)}")
    return query


async def _change_each(
    request: web.Request,
    query: BulkQuery,
    states: tuple[JobState, ...],
    change: Callable[[str], Awaitable[JobStatus]],
) -> web.Response:
    if query.state not in (None, *states):
        raise bad_request(f"state: a job that is {query.state} stays so; use {', '.join(states)}")
    caller = caller_of(request)
    page = await request.app[QUEUE].find(
        query,
        before=query.before,
        limit=query.limit,
        among=lambda job: job.state in states and caller.owns(job.targets),
    )
    if not query.dry_run:
        page = JobsPage(jobs=await _changed(page.jobs, change), next=page.next)
    return answer(JobPage.of(page))


async def _changed(
    jobs: tuple[JobStatus, ...], change: Callable[[str], Awaitable[JobStatus]]
) -> tuple[JobStatus, ...]:
    changed = []
    for job in jobs:
        try:
            changed.append(await change(job.id))
        except UnknownJobError:
            continue  # It has expired since.
    return tuple(changed)
