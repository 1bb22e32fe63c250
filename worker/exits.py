"""How a worker ends that cannot go on: one line, and an exit code."""

import sys
from typing import NoReturn

from push_queue import RedisUnavailableError

BAD_SETTINGS = 2
NO_REDIS = 3


def fail(error: Exception) -> NoReturn:
    """End the process with the error's message."""
    sys.stderr.write(f"push-worker: error: {error}\n")
    raise SystemExit(NO_REDIS if isinstance(error, RedisUnavailableError) else BAD_SETTINGS)
