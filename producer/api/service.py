"""The workers, and the server itself."""

from aiohttp import web

from producer.api.access.callers import caller_of
from producer.api.answers import answer
from producer.api.context import OPERATOR, QUEUE
from producer.api.models.service import Health, RegistryList, ThroughputAnswer, WorkerList
from push_queue.errors import RedisUnavailableError


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
    """Whether the server can work: Redis answers."""
    try:
        await request.app[QUEUE].ping()
    except RedisUnavailableError:
        # Anybody may ask, so it does not say where Redis is.
        raise RedisUnavailableError("Redis does not answer; come again later") from None
    return answer(Health())
