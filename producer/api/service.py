"""The workers, and the server itself."""

import asyncio

from aiohttp import web

from producer.api.access.callers import caller_of
from producer.api.answers import answer
from producer.api.context import OPERATOR, QUEUE, SPOOL
from producer.api.models.service import Health, RegistryList, ThroughputAnswer, WorkerList
from producer.errors import SpoolUnavailableError
from producer.spool.disk import check_usable
from producer.spool.spool import Spool
from push_queue.errors import RedisUnavailableError

_DISK_SECONDS = 4.0
"""Less than a probe waits. A volume that hangs would keep it for ever."""


async def list_workers(request: web.Request) -> web.Response:
    """The workers that are alive; which jobs they run, only an admin is told."""
    workers = await request.app[QUEUE].workers()
    if not caller_of(request).has_all:
        workers = tuple(worker.model_copy(update={"jobs": ()}) for worker in workers)
    return answer(WorkerList.of(workers))


async def list_registries(request: web.Request) -> web.Response:
    """The registries in use that the caller may push to: uploads, pauses, jobs that wait."""
    caller = caller_of(request)
    found = await request.app[QUEUE].registries()
    own = tuple(registry for registry in found if caller.uses_registry(registry.name))
    return answer(RegistryList(registries=own))


async def read_stats(request: web.Request) -> web.Response:
    """How the queue is doing: jobs of all callers by state, how long they wait, the last hour."""
    return answer(await request.app[OPERATOR].stats())


async def throughput(request: web.Request) -> web.Response:
    """What all workers have done in the last hour, minute by minute."""
    return answer(ThroughputAnswer(minutes=await request.app[QUEUE].throughput()))


async def healthy(_: web.Request) -> web.Response:
    """Whether the server runs."""
    return answer(Health())


async def ready(request: web.Request) -> web.Response:
    """Whether the server can work: Redis answers, and its spool can be used, if it has one."""
    try:
        await request.app[QUEUE].ping()
    except RedisUnavailableError:
        # Anybody may ask, so it does not say where Redis is.
        raise RedisUnavailableError("Redis does not answer; come again later") from None
    if spool := request.app[SPOOL]:
        await _check(spool)
    return answer(Health())


async def _check(spool: Spool) -> None:
    """Whether uploads can be taken.

    Raises:
        SpoolUnavailableError: they cannot.
    """
    try:
        async with asyncio.timeout(_DISK_SECONDS):
            await spool.run(check_usable, spool.folder)
    except TimeoutError:
        raise SpoolUnavailableError("its disk does not answer") from None
