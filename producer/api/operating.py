"""Pause and resume, drain workers: for admins."""

import logging

from aiohttp import web

from producer.api.access.callers import caller_of
from producer.api.answers import answer
from producer.api.context import OPERATOR, QUEUE
from producer.api.inputs import no_body, query_of, small_body_of
from producer.api.models.operating import NewPause, Ping, PurgeQuery, QueueState, WebhookList
from push_queue.errors import WaitTimeoutError

logger = logging.getLogger(__name__)


async def read_queue(request: web.Request) -> web.Response:
    """Whether a person has paused the whole queue."""
    return answer(QueueState(pause=await request.app[QUEUE].paused()))


async def pause_queue(request: web.Request) -> web.Response:
    """Have workers take no new job. Those that they run go on, and jobs can be enqueued."""
    asked = await small_body_of(request, NewPause)
    caller = caller_of(request).name
    pause = await request.app[OPERATOR].pause(
        seconds=asked.seconds, reason=asked.reason, caller=caller
    )
    _note(request, "the queue is paused")
    return answer(QueueState(pause=pause))


async def resume_queue(request: web.Request) -> web.Response:
    """Have workers take jobs again."""
    await no_body(request)
    await request.app[OPERATOR].resume()
    _note(request, "the queue is resumed")
    return await read_queue(request)


async def pause_registry(request: web.Request) -> web.Response:
    """Have workers begin no upload to the registry. Its jobs wait, without end if need be."""
    asked, host = await small_body_of(request, NewPause), request.match_info["registry"]
    caller = caller_of(request).name
    registry = await request.app[OPERATOR].pause_registry(
        host, seconds=asked.seconds, reason=asked.reason, caller=caller
    )
    _note(request, f"registry {registry.name} is paused")
    return answer(registry)


async def resume_registry(request: web.Request) -> web.Response:
    """End every pause of the registry, also one that it began itself."""
    await no_body(request)
    registry = await request.app[OPERATOR].resume_registry(request.match_info["registry"])
    _note(request, f"registry {registry.name} is resumed")
    return answer(registry)


async def drain_worker(request: web.Request) -> web.Response:
    """Have the worker take no more jobs, end those that it has, and then end itself."""
    await no_body(request)
    worker = await request.app[OPERATOR].drain(
        request.match_info["worker_id"], caller=caller_of(request).name
    )
    _note(request, f"worker {worker.id} is drained")
    return answer(worker)


async def list_webhooks(request: web.Request) -> web.Response:
    """The receivers of webhooks: what arrives, what waits, and what is wrong."""
    return answer(WebhookList(webhooks=await request.app[OPERATOR].webhooks()))


async def ping_webhook(request: web.Request) -> web.Response:
    """Have a worker send the receiver a ping, and wait for the outcome, 75 s at most."""
    await no_body(request)
    try:
        failure = await request.app[OPERATOR].ping_webhook(request.match_info["webhook"])
    except WaitTimeoutError as error:
        return answer(Ping(problem=str(error)))
    return answer(Ping(failure=failure))


async def forget_webhook(request: web.Request) -> web.Response:
    """Forget a receiver that no worker has in its settings any more, with its events."""
    await no_body(request)
    query, name = query_of(request, PurgeQuery), request.match_info["webhook"]
    found = await request.app[OPERATOR].forget_webhook(name, dry_run=query.dry_run)
    if not query.dry_run:
        _note(request, f"webhook {name} is forgotten")
    return answer(found)


async def forget_registry(request: web.Request) -> web.Response:
    """Delete what is known about a registry that was emptied: places of blobs, uploads."""
    await no_body(request)
    query, host = query_of(request, PurgeQuery), request.match_info["registry"]
    found = await request.app[OPERATOR].forget_registry(host, dry_run=query.dry_run)
    if not query.dry_run:
        _note(request, f"what was known of registry {host} is forgotten")
    return answer(found)


async def purge_uploads(request: web.Request) -> web.Response:
    """Delete the uploads that no unfinished job names and nobody has used for ten minutes."""
    await no_body(request)
    query = query_of(request, PurgeQuery)
    found = await request.app[OPERATOR].purge_uploads(dry_run=query.dry_run)
    if not query.dry_run:
        _note(request, f"{found.uploads} uploads are deleted")
    return answer(found)


def _note(request: web.Request, what: str) -> None:
    """For whoever asks later why nothing happened."""
    caller = caller_of(request).name
    logger.warning("%s%s", what, f" by {caller}" if caller else "")
