"""How a worker that cannot continue ends: one line, and an exit code."""

import sys
from typing import NoReturn

from push_queue.errors import RedisUnavailableError

NAME = "push-worker"
BAD_INPUT = 2
NO_REDIS = 3


def fail(error: Exception | str) -> NoReturn:
    """End the process with the error's message."""
    sys.stderr.write(f"{NAME}: error: {error}\n")
    raise SystemExit(NO_REDIS if isinstance(error, RedisUnavailableError) else BAD_INPUT)
