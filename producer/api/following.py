"""Follow one job, or all of them, by server-sent events."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from aiohttp import web

from producer.api.access.callers import Caller, caller_of
from producer.api.access.keys import LIMITS
from producer.api.access.long_requests import while_allowed
from producer.api.context import EVENTS, QUEUE
from producer.api.events.hub import MOST_READ, EventHub
from producer.api.events.stream import NOTHING, EventStream, message
from producer.api.inputs import bad_request, job_id_of
from producer.api.models.service import Reset
from producer.api.problems import ProblemError
from producer.queue import PushQueue
from push_queue.errors import QueueError, RedisUnavailableError, UnknownJobError
from push_queue.jobs.events import Position
from push_queue.models.job_status import JobStatus

QUIET_SECONDS = 15.0
"""How often an idle stream is written to."""
_AWAY_SECONDS = 1.0


@contextmanager
def follower(request: web.Request) -> Iterator[None]:
    """The time for which the request waits or follows.

    Raises:
        ProblemError: too many do.
    """
    with request.app[LIMITS].stream(caller_of(request)), request.app[EVENTS].follower():
        yield


async def follow_all(request: web.Request) -> web.StreamResponse:
    """Every change of state of the caller's jobs, and their progress: ``state``, ``progress``.

    ``reset`` where changes are lost.
    Goes on after ``Last-Event-ID``, as far back as Redis keeps events.
    """
    hub, last_seen = request.app[EVENTS], _last_event_id(request)
    with follower(request):
        # From before the answer begins, so that a client that then reads the jobs misses nothing.
        position, shown, missed = hub.position, hub.progress.number, False
        if last_seen:
            position = min(last_seen, max(position, await request.app[QUEUE].last_event()))
            missed = position != last_seen
        stream = EventStream()
        # The answer has begun, so the end is all that can be said of a login that is over.
        with suppress(ConnectionError, ProblemError):
            await stream.begin(request)
            if missed:
                await stream.write(message("reset", Reset(), position))
            async with while_allowed(request):
                await _send_all(stream, hub, caller_of(request), position, shown)
    return stream


async def follow_job(request: web.Request) -> web.StreamResponse:
    """The job now and at each change of its state, as ``job``, until it is final; and ``progress``.

    204 for a ``Last-Event-ID`` after which nothing can follow.
    """
    job_id = job_id_of(request)
    hub, queue, last_seen = request.app[EVENTS], request.app[QUEUE], _last_event_id(request)
    with follower(request):
        position, shown = hub.position, hub.progress.number
        job = await hub.status(job_id)
        if not caller_of(request).owns(job.targets):
            raise UnknownJobError(job_id)
        if last_seen and job.state.final and await _knows_all(queue, job_id, last_seen):
            return web.Response(status=204)
        stream = EventStream()
        # A job that has expired has no more events.
        with suppress(ConnectionError, QueueError, ProblemError):
            await stream.begin(request)
            async with while_allowed(request):
                await _send_job(stream, hub, job, position, shown)
    return stream


async def _send_all(
    stream: EventStream, hub: EventHub, caller: Caller, position: Position, shown: int
) -> None:
    while not hub.ended:
        try:
            changes, position, complete = await hub.next_after(position, QUIET_SECONDS, shown)
        except RedisUnavailableError:
            await stream.write(NOTHING)
            await asyncio.sleep(_AWAY_SECONDS)
            continue
        if not complete:
            await stream.write(message("reset", Reset(), position))
        # Progress first: it is that of states which the changes may end.
        progress, shown = hub.progress.after(shown, caller.owns), hub.progress.number
        own = (change.message for change in changes if caller.owns(change.targets))
        await stream.write(b"".join((progress, *own)) or NOTHING)


async def _send_job(
    stream: EventStream, hub: EventHub, job: JobStatus, position: Position, shown: int
) -> None:
    await stream.write(message("job", job, position))
    while not (job.state.final or hub.ended):
        try:
            position, progress = await hub.change_of(job.id, position, QUIET_SECONDS, shown)
            if progress:
                shown = hub.progress.number
                await stream.write(progress)
                continue
            changed = await hub.status(job.id)
        except RedisUnavailableError:
            await stream.write(NOTHING)
            await asyncio.sleep(_AWAY_SECONDS)
            continue
        await stream.write(NOTHING if changed == job else message("job", changed, position))
        job = changed


async def _knows_all(queue: PushQueue, job_id: str, last_seen: Position) -> bool:
    """Whether nothing has happened to the job since; asks Redis, which is never behind."""
    if last_seen < await queue.first_event():
        return False
    reached = last_seen
    while True:
        events, position = await queue.events(reached, limit=MOST_READ)
        if any(placed.event.id == job_id for placed in events):
            return False
        if position == reached:
            return True
        reached = position


def _last_event_id(request: web.Request) -> Position | None:
    text = request.headers.get("Last-Event-ID", "")
    try:
        return Position.parse(text) if text else None
    except ValueError as error:
        raise bad_request(f"Last-Event-ID: {error}") from None
