"""``push-queue serve``."""

from typing import Annotated

import typer

from producer.api.server import serve_until_cancelled
from producer.cli.exits import BadInputError
from producer.cli.options import settings_of
from producer.cli.signals import run
from producer.queue import PushQueue
from push_queue.event_loop import new_event_loop
from push_queue.logs import set_up_logging
from push_queue.settings import Settings
from registry_api_v2_client.hosts import is_loopback

RIDE_OUT_SECONDS = 3.0
"""So long a request waits for a Redis that restarts, before its caller is told to come again."""

EXAMPLES = """
Examples:

    push-queue serve

    curl --json '{"source": "/images/app.tar", "targets": ["localhost:15000/app:1"]}' \\
        http://127.0.0.1:15080/api/v1/jobs
"""


def serve(
    context: typer.Context,
    host: Annotated[
        str | None,
        typer.Option("--host", help="The loopback address to listen at; else PUSH_QUEUE_API_HOST."),
    ] = None,
    port: Annotated[
        int | None,
        typer.Option(
            "--port", min=0, max=65535, help="0 is any that is free; else PUSH_QUEUE_API_PORT."
        ),
    ] = None,
) -> None:
    """Serve the queue's HTTP API on this machine until Ctrl-C or SIGTERM."""
    settings = settings_of(context)
    at = settings.api_host if host is None else host
    if not is_loopback(at):
        raise BadInputError(
            f"cannot serve at {at}: callers are not told apart yet, so only this machine may call; "
            "use --host 127.0.0.1"
        )
    set_up_logging(settings)
    run(
        _serve(settings, at, settings.api_port if port is None else port),
        loop_factory=new_event_loop,
    )


async def _serve(settings: Settings, host: str, port: int) -> None:
    async with PushQueue.connect(settings, ride_out=RIDE_OUT_SECONDS) as queue:
        try:
            await serve_until_cancelled(queue, host, port)
        except OSError as error:
            raise BadInputError(
                f"cannot listen at {host}:{port} ({error.strerror}); name another with --port"
            ) from None
