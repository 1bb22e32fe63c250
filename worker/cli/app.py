"""The command line: options, and how errors are reported."""

import asyncio
import logging
import socket
import sys
from typing import Annotated, NoReturn

import typer
from arq.connections import ArqRedis

from push_queue.connection import connect
from push_queue.database import Database
from push_queue.errors import QueueError, RedisDeniedError, RedisRefusedError
from push_queue.event_loop import new_event_loop
from push_queue.keys import Keys
from push_queue.log_setup import set_up_logging
from push_queue.redis_errors import redis_errors
from push_queue.redis_retries import Patience
from push_queue.settings import Settings, load_settings
from push_queue.version import own_version
from push_queue.worker_roster import WorkerRoster
from registry_api_v2_client import RegistryError

from ..arq_options import worker_options
from ..arq_worker import QueueWorker
from ..exits import NAME, fail

logger = logging.getLogger(__name__)

_AGAIN_SECONDS = 1.0

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False, rich_markup_mode=None)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(own_version())
        raise typer.Exit


@app.command(context_settings={"help_option_names": ["-h", "--help"]})
def work(
    burst: Annotated[bool, typer.Option("--burst", help="Stop when the queue is empty.")] = False,
    check: Annotated[
        bool, typer.Option("--check", help="Only tell whether a worker is alive on this host.")
    ] = False,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    """Run a worker that pushes images until it is told to stop (SIGTERM).

    Settings are environment variables, PUSH_QUEUE_REDIS_URL first of all; see the README.

    Exit status: 0 success, 1 no worker alive here (--check),
    2 bad input or settings, 3 Redis cannot be reached or refuses login or rights.
    """
    try:
        settings = load_settings()
        if check:
            raise typer.Exit(0 if asyncio.run(_alive_here(settings)) else 1)
        _run(settings, burst)
    except (QueueError, RegistryError) as error:
        fail(error)


def _run(settings: Settings, burst: bool) -> None:
    set_up_logging(settings)
    # Closes what is open, also after Ctrl-C; arq handles signals by itself.
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        redis = runner.run(_connect(settings))
        asyncio.set_event_loop(runner.get_loop())
        patience = Patience()
        options = worker_options(settings, patience) | {"burst": burst, "redis_pool": redis}
        with redis_errors(settings.redis_address):
            QueueWorker(on_hand_back=patience.end, **options).run()


async def _connect(settings: Settings) -> ArqRedis:
    """Connect to Redis, and wait while it loads its data or is busy.

    Raises:
        RedisDeniedError: it does not accept the login.
        RedisUnavailableError: nothing answers there.
    """
    told = False
    while True:
        try:
            return await connect(settings)
        except RedisDeniedError:
            raise
        except RedisRefusedError as error:
            if not told:
                logger.warning("%s", error)
                told = True
        await asyncio.sleep(_AGAIN_SECONDS)


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
