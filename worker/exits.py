"""How a worker that cannot continue ends: one line, and an exit code."""

from typing import NoReturn

import typer

from push_queue.errors import RedisUnavailableError
from push_queue.lost_output import error_may_be_lost

NAME = "push-worker"
BAD_INPUT = 2
NO_REDIS = 3


def fail(error: Exception | str, code: int = BAD_INPUT) -> NoReturn:
    """End the process with the error's message."""
    with error_may_be_lost():
        typer.echo(f"{NAME}: error: {error}", err=True)
    raise SystemExit(NO_REDIS if isinstance(error, RedisUnavailableError) else code)
