"""Change all jobs of a caller that match: page by page, as they are listed."""

from aiohttp import web

from producer.api.access.callers import caller_of
from producer.api.answers import answer
from producer.api.context import OPERATOR
from producer.api.inputs import no_body, query_of
from producer.api.models.jobs import JobPage
from producer.api.models.selection import BulkQuery
from producer.bulk import BulkAction


async def cancel_jobs(request: web.Request) -> web.Response:
    """Cancel the unfinished jobs that match, and answer with them as they are then."""
    return await _change(request, BulkAction.CANCEL)


async def retry_jobs(request: web.Request) -> web.Response:
    """Enqueue again the failed jobs that match, or those in the given final state."""
    return await _change(request, BulkAction.RETRY)


async def purge_jobs(request: web.Request) -> web.Response:
    """Forget the finished jobs that match, and answer with them as they were."""
    return await _change(request, BulkAction.PURGE)


async def _change(request: web.Request, action: BulkAction) -> web.Response:
    await no_body(request)
    query, caller = query_of(request, BulkQuery), caller_of(request)
    page = await request.app[OPERATOR].change(
        action,
        query,
        before=query.before,
        limit=query.limit,
        dry_run=query.dry_run,
        caller=caller.name,
        owns=lambda job: caller.owns(job.targets),
    )
    return answer(JobPage.of(page))
