"""Enqueue jobs, read them, cancel them, run them again."""

import asyncio
from collections.abc import Callable, Iterable
from datetime import timedelta
from http import HTTPStatus
from itertools import groupby

from aiohttp import web

from producer.api.access.callers import Caller, caller_of
from producer.api.access.long_requests import while_allowed
from producer.api.answers import answer
from producer.api.context import EVENTS, QUEUE
from producer.api.following import follower
from producer.api.inputs import job_id_of, new_jobs_of, no_body, query_of
from producer.api.models.jobs import JobDetails, JobList, JobPage, JobQuery, NewJob
from producer.api.models.selection import JobsQuery
from producer.api.problem_types import ProblemType
from producer.api.problems import ProblemError
from producer.api.uploads.sources import claim_uploads, with_cleanup
from producer.job_description import check_start
from producer.queue import PushQueue
from push_queue.errors import JobConflictError, UnknownJobError
from push_queue.models.job import PushJob
from push_queue.models.job_status import JobStatus
from push_queue.traces import valid_traceparent

LOOK_SECONDS = 5.0
"""How often a job that is waited for is read even without an event."""


async def enqueue(request: web.Request) -> web.Response:
    """Enqueue a push, or a list of up to 1000. The same job again returns the existing one."""
    new_jobs, alone = await new_jobs_of(request)
    queue = request.app[QUEUE]
    # In a thread: sources are looked at, and their volume may hang.
    jobs = await asyncio.to_thread(lambda: [_describe(queue, job) for job in new_jobs])
    jobs = with_cleanup(jobs)
    caller = caller_of(request)
    _check_targets(caller, jobs)
    await claim_uploads(request, jobs)
    traceparent = valid_traceparent(request.headers.get("traceparent"))
    statuses: list[JobStatus] = []
    moments = groupby(zip(new_jobs, jobs, strict=True), key=lambda pair: pair[0].not_before)
    for not_before, pairs in moments:
        batch = [job for _, job in pairs]
        try:
            statuses += await queue.enqueue_many(
                batch, not_before=not_before, caller=caller.name, traceparent=traceparent
            )
        except JobConflictError:
            await _check_ids(queue, caller, batch)
            raise
    if not alone:
        return answer(JobList(jobs=tuple(statuses)), HTTPStatus.ACCEPTED)
    (status,) = statuses
    location = {"Location": f"{request.path}/{status.id}"}
    return answer(status, HTTPStatus.ACCEPTED, headers=location)


async def list_jobs(request: web.Request) -> web.Response:
    """Jobs that match all given parameters, the last enqueued first."""
    query = query_of(request, JobsQuery)
    page = await request.app[QUEUE].find(
        query, before=query.before, limit=query.limit, among=_own_jobs(request)
    )
    return answer(JobPage.of(page))


async def read_job(request: web.Request) -> web.Response:
    """A job, the progress of its blobs, and the attempts that ended."""
    job_id, query = job_id_of(request), query_of(request, JobQuery)
    await _check_own(request, job_id)
    status = await _final_or_late(request, job_id, query.wait)
    queue = request.app[QUEUE]
    blobs, attempts = await queue.blobs(job_id), await queue.attempts(job_id)
    return answer(JobDetails(**dict(status), blobs=blobs, attempts=tuple(attempts)))


async def cancel(request: web.Request) -> web.Response:
    """Cancel a waiting job at once, and have a running one stopped; a final one stays as it is."""
    job_id = job_id_of(request)
    await no_body(request)
    await _check_own(request, job_id)
    queue = request.app[QUEUE]
    await queue.cancel(job_id, caller=caller_of(request).name)
    return answer(await queue.status(job_id))


async def retry(request: web.Request) -> web.Response:
    """Enqueue a final job again, with all its attempts; another one stays as it is."""
    job_id = job_id_of(request)
    await no_body(request)
    await _check_own(request, job_id)
    return answer(await request.app[QUEUE].retry(job_id, caller=caller_of(request).name))


def _check_targets(caller: Caller, jobs: Iterable[PushJob]) -> None:
    """Refuse to have anything enqueued to other targets than the caller's."""
    foreign = [target for job in jobs for target in caller.foreign(job.targets)]
    if foreign:
        raise ProblemError(
            ProblemType.TARGET_NOT_ALLOWED,
            f"{caller.name} may not push to {foreign[0]}; it may to {', '.join(caller.targets)}",
        )


async def _check_ids(queue: PushQueue, caller: Caller, jobs: Iterable[PushJob]) -> None:
    """Say of ids that others have nothing but that they are taken."""
    for job_id, job in (await queue.look_up(job.id for job in jobs)).items():
        if not caller.owns(job.targets):
            raise ProblemError(ProblemType.JOB_CONFLICT, f"the id {job_id} is taken; use another")


async def _check_own(request: web.Request, job_id: str) -> None:
    """Have jobs that are not the caller's be as unknown as those that are not there."""
    caller = caller_of(request)
    if caller.has_all:
        return
    if not caller.owns((await request.app[QUEUE].status(job_id)).targets):
        raise UnknownJobError(job_id)


def _own_jobs(request: web.Request) -> Callable[[JobStatus], bool]:
    caller = caller_of(request)
    return lambda job: caller.owns(job.targets)


async def _final_or_late(request: web.Request, job_id: str, seconds: float) -> JobStatus:
    """The job when it is final, or after these seconds, or as soon as the server stops."""
    if not seconds:
        return await request.app[QUEUE].status(job_id)
    end = asyncio.get_running_loop().time() + seconds
    with follower(request):
        async with while_allowed(request):
            return await _final_by(request, job_id, end)


async def _final_by(request: web.Request, job_id: str, end: float) -> JobStatus:
    hub, loop = request.app[EVENTS], asyncio.get_running_loop()
    position = hub.position
    while True:
        status = await hub.status(job_id)
        left = end - loop.time()
        if status.state.final or left <= 0 or hub.ended or _gone(request):
            return status
        position, _ = await hub.change_of(job_id, position, min(left, LOOK_SECONDS))


def _gone(request: web.Request) -> bool:
    return request.transport is None or request.transport.is_closing()


def _describe(queue: PushQueue, job: NewJob) -> PushJob:
    check_start(job.not_before)
    patience = job.give_up_after
    return queue.describe(
        job.source,
        job.targets,
        job_id=job.id,
        image=job.image,
        platform=job.platform,
        compression=job.compression,
        priority=job.priority,
        max_attempts=job.max_attempts,
        give_up_after=None if patience is None else timedelta(seconds=patience),
        ordered=job.ordered,
        cleanup=job.cleanup,
        labels=job.labels,
    )
