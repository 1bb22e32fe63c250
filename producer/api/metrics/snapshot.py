"""What one scrape reports on, read when it is asked for."""

import asyncio
import logging
from typing import NamedTuple

from aiohttp import web

from producer.api.access.callers import caller_of
from producer.api.context import EVENTS, REPORT, SPOOL
from producer.errors import SpoolFullError, SpoolUnavailableError
from producer.spool.spool import Spool
from push_queue.errors import RedisUnavailableError
from push_queue.figures.metrics import QueueMetrics

logger = logging.getLogger(__name__)

_PATIENCE_SECONDS = 4.0
"""Less than a scrape may take. What is not known by then is left out."""


class SpoolFigures(NamedTuple):
    """How full the spool is, in bytes."""

    used: int
    quota: int
    room: int
    """For what is left of the quota and of the disk."""


class Snapshot(NamedTuple):
    """Everything that is known at one moment. What cannot be read is None."""

    queue: QueueMetrics | None
    events_lag_seconds: float | None
    spool: SpoolFigures | None


async def take_snapshot(request: web.Request) -> Snapshot:
    """The figures, with the registries that the caller may know."""
    queue, spool = await asyncio.gather(_queue(request), _spool(request.app[SPOOL]))
    if queue is None:
        return Snapshot(None, None, spool)
    caller = caller_of(request)
    own = tuple(registry for registry in queue.registries if caller.uses_registry(registry.name))
    read = request.app[EVENTS].position
    lag_ms = max(0, queue.last_event.milliseconds - read.milliseconds)
    return Snapshot(queue._replace(registries=own), lag_ms / 1000, spool)


async def _queue(request: web.Request) -> QueueMetrics | None:
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await request.app[REPORT].read()
    except TimeoutError:
        logger.warning("metrics without those of the queue: Redis does not answer in time")
    except RedisUnavailableError as error:
        logger.warning("metrics without those of the queue: %s", error)
    return None


async def _spool(spool: Spool | None) -> SpoolFigures | None:
    if spool is None:
        return None
    try:
        async with asyncio.timeout(_PATIENCE_SECONDS):
            return await spool.run(_measure, spool)
    except TimeoutError:
        logger.warning("metrics without those of the spool: its disk does not answer in time")
    except SpoolUnavailableError as error:
        logger.warning("metrics without those of the spool: %s", error)
    return None


def _measure(spool: Spool) -> SpoolFigures:
    try:
        room = spool.room.check(0)
    except SpoolFullError:
        room = 0
    return SpoolFigures(spool.room.used(), spool.room.quota, room)
