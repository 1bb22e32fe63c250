"""How the test waits, and tells what it does."""

import sys
import time
from collections.abc import Callable

PATIENCE_SECONDS = 600


def until(what: str, condition: Callable[[], bool]) -> None:
    """Wait until it holds. While Redis or the API is away nothing can be asked."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if condition():
                return
        except (OSError, AssertionError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {PATIENCE_SECONDS} s")
        time.sleep(0.2)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()
