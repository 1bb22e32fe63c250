"""The server: listens, logs each request, and stops without cutting anybody off."""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger

from producer.api.access.callers import name_of_caller
from producer.api.application import make_application
from producer.api.connections import ConnectionLimits, Connections
from producer.api.open_files import allow_open_files
from producer.errors import CannotStartError
from producer.queue import PushQueue
from push_queue.settings import Settings

logger = logging.getLogger(__name__)

STOP_SECONDS = 10.0
"""Seconds in which requests under way are answered once the server is told to stop."""

DEFAULT_LIMITS = ConnectionLimits()

# aiohttp's own log shows requests that are no HTTP, with all that is in them.
_connections = logging.getLogger(f"{__name__}.connections")
_connections.disabled = True


class AccessLog(AbstractAccessLogger):
    """One line a request: no header and no query, which may hold secrets."""

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        caller = name_of_caller(request)
        self.logger.info(
            "%s %s %d %.3f s%s",
            request.method,
            request.rel_url.raw_path,
            response.status,
            time,
            f" by {caller}" if caller else "",
        )


@asynccontextmanager
async def running_server(
    queue: PushQueue,
    settings: Settings,
    host: str,
    port: int,
    limits: ConnectionLimits = DEFAULT_LIMITS,
) -> AsyncIterator[str]:
    """Serve the API of this queue within the block; the URL where it is.

    Raises:
        CannotStartError: it cannot listen there, or not use its spool.
        RedisUnavailableError: Redis is down at the start.
    """
    allow_open_files()
    runner = web.AppRunner(make_application(queue, settings), shutdown_timeout=STOP_SECONDS)
    await runner.setup()
    try:
        listening = await _listen(runner, host, port, limits)
        name, number = listening.sockets[0].getsockname()[:2]
        try:
            yield f"http://[{name}]:{number}" if ":" in name else f"http://{name}:{number}"
        finally:
            listening.close()
    finally:
        await runner.cleanup()


async def _listen(
    runner: web.AppRunner, host: str, port: int, limits: ConnectionLimits
) -> asyncio.Server:
    assert runner.server
    connections = Connections(
        runner.server,
        limits,
        access_log=logger,
        access_log_class=AccessLog,
        logger=_connections,
    )
    try:
        return await asyncio.get_running_loop().create_server(connections, host, port)
    except OSError as error:
        # asyncio's text says once more where.
        unknown = isinstance(error, socket.gaierror)
        why = error.strerror if unknown else os.strerror(error.errno or 0)
        raise CannotStartError(
            f"cannot listen at {host}:{port} ({why}); name another with --port"
        ) from None


async def serve_until_cancelled(queue: PushQueue, settings: Settings, host: str, port: int) -> None:
    """Serve until this task is cancelled, and end in order then."""
    async with running_server(queue, settings, host, port) as url:
        logger.info("serving %s", url)
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            logger.info("stopping")
