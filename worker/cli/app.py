"""The command line: options, and how errors are reported.

The worker itself is loaded when it is run: ``--check`` is asked every few seconds.
"""

import asyncio
import errno
import gc
import socket
import sys
from typing import Annotated, NoReturn

import typer

from push_queue.errors import QueueError
from push_queue.lost_output import give_up
from push_queue.redis.connection import connect
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.settings import Settings, load_settings
from push_queue.version import own_version
from push_queue.worker_roster import WorkerRoster
from registry_api_v2_client import RegistryError

from ..alive_file import is_fresh
from ..exits import NAME, fail

OUTPUT_LOST = 1

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(own_version())
        raise typer.Exit


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def work(
    burst: Annotated[bool, typer.Option("--burst", help="Stop when the queue is empty.")] = False,
    check: Annotated[
        bool,
        typer.Option(
            "--check",
            help="Only tell whether a worker is alive on this host; with PUSH_QUEUE_ALIVE_FILE,"
            " whether the one that touches this file is.",
        ),
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    """Run a worker that pushes images until it is told to stop (SIGTERM).

    Settings are environment variables, PUSH_QUEUE_REDIS_URL first of all; see
    docs/reference/settings.md.

    Exit status: 0 success, 1 no worker alive here (--check),
    2 bad input or settings, 3 Redis cannot be reached or refuses login or rights.
    """
    try:
        settings = load_settings()
        if check:
            raise typer.Exit(0 if _is_alive(settings) else 1)
        from .worker_run import run_worker

        # From here on there is garbage, but not among what is loaded.
        gc.freeze()
        gc.enable()
        run_worker(settings, burst=burst)
    except (QueueError, RegistryError) as error:
        fail(error)


def _is_alive(settings: Settings) -> bool:
    """Whether the worker with the file of the settings is alive, or else any on this host."""
    if settings.alive_file:
        return is_fresh(settings.alive_file)
    return asyncio.run(_alive_here(settings))


async def _alive_here(settings: Settings) -> bool:
    redis = await connect(settings)
    try:
        workers = await WorkerRoster(Database(redis, Keys(settings.namespace))).alive()
    finally:
        await redis.aclose()
    here = [worker for worker in workers if worker.host == socket.gethostname()]
    sys.stdout.write(f"{len(here)} of {len(workers)} live workers on this host\n")
    for worker in workers:
        if worker.problem:
            sys.stderr.write(f"{NAME}: warning: {worker.id}: {worker.problem}\n")
    return bool(here)


def run() -> NoReturn:
    """Run the command line. Errors end the process in one line, never in a traceback.

    Raises:
        SystemExit: always, with the exit status.
    """
    try:
        sys.exit(app(prog_name=NAME, standalone_mode=False))
    except typer.TyperException as error:
        # Typer's own: unknown options, unexpected arguments.
        fail(f"{error.format_message().rstrip('.')} (see `{NAME} --help`)")
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EDQUOT):
            raise
        give_up(sys.stdout)
        fail(f"cannot write the output: {error.strerror}", OUTPUT_LOST)
