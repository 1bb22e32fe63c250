"""``push-queue serve``."""

import logging
from typing import Annotated

import typer

from producer.api.server import serve_until_cancelled
from producer.cli.options import PortOption, check_host, settings_of
from producer.cli.signals import run
from producer.queue import PushQueue
from push_queue.event_loop import new_event_loop
from push_queue.log_setup import set_up_logging
from push_queue.settings import Settings

logger = logging.getLogger(__name__)

RIDE_OUT_SECONDS = 3.0
"""How long a request waits for a Redis that restarts, before its caller is told to try again."""

EXAMPLES = """
Examples:

    push-queue serve

\b
    curl http://127.0.0.1:15080/api/v1/jobs --json \\
        '{"source": "/images/app.tar", "targets": ["localhost:15000/app:1"]}'

It listens on the loopback alone until PUSH_QUEUE_API_TOKENS is set;
`push-queue token` makes tokens.
"""


def serve(
    context: typer.Context,
    host: Annotated[
        str | None,
        typer.Option(
            "--host", metavar="ADDRESS", help="Address to listen at; else PUSH_QUEUE_API_HOST."
        ),
    ] = None,
    port: PortOption = None,
) -> None:
    """Serve the queue's HTTP API."""
    settings = settings_of(context)
    at = settings.api_host if host is None else host
    check_host(settings, at)
    set_up_logging(settings)
    run(
        _serve(settings, at, settings.api_port if port is None else port),
        loop_factory=new_event_loop,
    )


async def _serve(settings: Settings, host: str, port: int) -> None:
    if settings.redis_routes:
        logger.warning(
            "PUSH_QUEUE_REDIS_ROUTES is for commands; all jobs of this server are with Redis at %s",
            settings.redis_address,
        )
    async with PushQueue.connect(settings, ride_out=RIDE_OUT_SECONDS) as queue:
        await serve_until_cancelled(queue, settings, host, port)
