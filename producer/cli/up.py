"""``push-queue up``."""

import asyncio
import shlex
from contextlib import suppress
from typing import Annotated

import typer

from producer.cli.options import PortOption, check_host, settings_of
from producer.cli.signals import run
from producer.local_system.system import LocalSystem, running_system
from push_queue.event_loop import new_event_loop
from push_queue.log_setup import set_up_logging
from push_queue.settings import REDIS_URL_VARIABLES, Settings

EXAMPLES = """
Examples:

    push-queue up

    push-queue up --workers 4

Starts a Valkey of its own, workers, and the HTTP API of `push-queue serve`,
and prints the variable that commands in another shell need.

Jobs survive a restart. They are in ~/.local/share/push-queue (or below
XDG_DATA_HOME), which only you can read.

Without PUSH_QUEUE_API_TOKENS everybody who can log in on this machine can use the
HTTP API, and the workers read every file that you can read. To limit that, set
PUSH_QUEUE_API_TOKENS, PUSH_QUEUE_SOURCE_ROOTS and PUSH_QUEUE_TARGETS.

If PUSH_QUEUE_REDIS_URL, REDIS_URL or --redis-url names a Redis, that one is
used and no Valkey is started.

Ctrl-C or SIGTERM stops it. Workers finish what they can in
PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS; the rest goes on at the next start.
A second Ctrl-C does not wait.

Exit status: 0 stopped, 1 a part keeps failing, 2 it cannot start,
3 Redis cannot be reached.
"""


def up(
    context: typer.Context,
    workers: Annotated[
        int, typer.Option("--workers", metavar="N", min=1, help="How many workers to start.")
    ] = 1,
    port: PortOption = None,
) -> None:
    """Run the whole system on this machine, until Ctrl-C or SIGTERM."""
    settings = settings_of(context)
    check_host(settings, settings.api_host)
    set_up_logging(settings)
    at = settings.api_port if port is None else port
    run(_up(settings, workers, at), loop_factory=new_event_loop)


async def _up(settings: Settings, workers: int, port: int) -> None:
    show = _show_plain if settings.log_format == "json" else _show_named
    # It normally ends by a request to stop.
    with suppress(asyncio.CancelledError):
        async with running_system(
            settings, workers=workers, host=settings.api_host, port=port, show=show
        ) as system:
            typer.echo(announcement(system, workers))
            await asyncio.Event().wait()


def announcement(system: LocalSystem, workers: int) -> str:
    """Where everything is, and how to reach it from another shell."""
    lines = [
        "push-queue is up; Ctrl-C stops it.",
        f"  Page      {system.api_url}/",
        f"  HTTP API  {system.api_url}/api/v1/jobs ({_callers(system.settings)})",
        f"  Redis     {system.settings.redis_address}",
        f"  Workers   {workers}",
    ]
    if system.folder:
        url = system.settings.redis_url.get_secret_value()
        lines += [
            f"  Jobs      kept in {system.folder}",
            "In another shell:",
            f"  export {REDIS_URL_VARIABLES[0]}={shlex.quote(url)}",
            "  push-queue enqueue app.tar --to localhost:15000/app:1 --wait",
        ]
    return "\n".join(lines)


def _callers(settings: Settings) -> str:
    return "open to all users of this machine" if settings.api_open else "with a token"


def _show_named(name: str, line: str) -> None:
    _write(f"{name} | {line}")


def _show_plain(_: str, line: str) -> None:
    """As it is, for machines."""
    _write(line)


def _write(line: str) -> None:
    # The log may go to a pipe whose reader has left; the system goes on without it.
    with suppress(OSError):
        typer.echo(line, err=True)
