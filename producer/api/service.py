"""The workers, and the server itself."""

from aiohttp import web

from producer.api.answers import answer
from producer.api.context import QUEUE
from producer.api.models import Health, WorkerList
from push_queue.errors import RedisUnavailableError


async def list_workers(request: web.Request) -> web.Response:
    """The workers that are alive."""
    return answer(WorkerList.of(await request.app[QUEUE].workers()))


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
