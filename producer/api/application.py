"""The aiohttp application: routes, what guards them, and what runs beside them."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from functools import cache, partial
from typing import TYPE_CHECKING

from aiohttp import web
from aiohttp.typedefs import Handler

from producer.api.access.authentication import guarded
from producer.api.access.browsers import add_headers, own_origin_only
from producer.api.access.keys import LIMITS, OIDC, OPEN, SESSIONS, TOKENS
from producer.api.access.limits import CallerLimits
from producer.api.connections import note_request
from producer.api.context import EVENTS, OPERATOR, QUEUE, REPORT, SPOOL
from producer.api.events.hub import EventHub
from producer.api.inputs import JSON, MOST_BODY_BYTES
from producer.api.metrics.handler import metrics
from producer.api.openapi import describe
from producer.api.problems import problems
from producer.api.route import Route
from producer.api.routes import ROUTES
from producer.api.web_page import page_routes
from producer.operator import Operator
from producer.queue import PushQueue
from producer.spool.expiry import keep_expiring
from producer.spool.spool import Spool
from push_queue.figures.metrics import QueueReport
from push_queue.scripts import load_all
from push_queue.sessions import Sessions
from push_queue.settings import Settings
from push_queue.settings.api_tokens import Role
from push_queue.version import own_version

if TYPE_CHECKING:
    from producer.api.access.oidc import OidcCallers

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 5.0
"""Until work that a bug has ended is begun again."""


def make_application(queue: PushQueue, settings: Settings) -> web.Application:
    """The API of this queue, for the callers in the settings.

    Raises:
        CannotStartError: the spool of the settings cannot be used.
    """
    load_all()
    application = web.Application(
        middlewares=[note_request, problems, own_origin_only], client_max_size=MOST_BODY_BYTES
    )
    application[QUEUE] = queue
    application[SESSIONS] = Sessions(queue.database)
    application[TOKENS] = settings.api_tokens
    application[OIDC] = _oidc_callers(settings)
    application[OPEN] = settings.api_open
    application[LIMITS] = CallerLimits(rate=settings.api_rate, streams=settings.api_streams)
    spool = application[SPOOL] = Spool.of(settings)
    application[OPERATOR] = Operator(queue, lambda: spool)
    application[REPORT] = QueueReport(queue.database, settings.registry_max_uploads)
    application.add_routes(map(_route, ROUTES))
    application.router.add_get("/openapi.json", _describer(with_tokens=not settings.api_open))
    application.router.add_get("/metrics", guarded(metrics, Role.READ))
    application.add_routes(page_routes())
    application.on_response_prepare.append(add_headers)
    application.cleanup_ctx.append(_hear_events)
    application.cleanup_ctx.append(_expire_uploads)
    application.on_shutdown.append(_end_waiting)
    return application


def _oidc_callers(settings: Settings) -> "OidcCallers | None":
    if not settings.api_oidc:
        return None
    # Loaded only for those who use it, since it loads much of cryptography.
    from producer.api.access.oidc import OidcCallers

    return OidcCallers(settings.api_oidc)


def _route(route: Route) -> web.RouteDef:
    handler = guarded(route.handler, route.role) if route.role else route.handler
    # The answer to HEAD has no body, so it would never end where GET is answered with a stream.
    options = {"allow_head": False} if route.stream else {}
    return web.route(route.method, route.path, handler, **options)


def _describer(*, with_tokens: bool) -> Handler:
    """The handler that answers with the OpenAPI document."""

    # When it is first asked for: it takes longer to make than all else that the server begins with.
    @cache
    def document() -> bytes:
        return json.dumps(describe(ROUTES, own_version(), with_tokens=with_tokens)).encode()

    async def answer_with_it(_: web.Request) -> web.Response:
        return web.Response(body=await asyncio.to_thread(document), content_type=JSON)

    return answer_with_it


async def _hear_events(application: web.Application) -> AsyncIterator[None]:
    queue = application[QUEUE]
    hub = EventHub(queue, await queue.last_event(), with_targets=not application[OPEN])
    application[EVENTS] = hub
    async with _beside(hub.run):
        yield


async def _expire_uploads(application: web.Application) -> AsyncIterator[None]:
    spool = application[SPOOL]
    if not spool:
        yield
        return
    async with _beside(partial(keep_expiring, spool, application[QUEUE])):
        yield


@asynccontextmanager
async def _beside(work: Callable[[], Awaitable[None]]) -> AsyncIterator[None]:
    """Have the work done while the application runs."""
    ends = asyncio.Event()
    task = asyncio.create_task(_keep_at(work, ends))
    yield
    ends.set()
    task.cancel()
    with suppress(asyncio.CancelledError):
        await task


async def _keep_at(work: Callable[[], Awaitable[None]], ends: asyncio.Event) -> None:
    while not ends.is_set():  # Work that fails when it is cancelled does not end this.
        try:
            await work()
        except Exception:  # the work's outermost frame; else nobody hears of it before the end
            logger.exception("unexpected error beside the requests")
        await asyncio.sleep(_AGAIN_SECONDS)


async def _end_waiting(application: web.Application) -> None:
    application[EVENTS].end()
