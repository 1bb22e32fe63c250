"""Standard output and standard error that cannot be written any more."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TextIO


@contextmanager
def error_may_be_lost() -> Iterator[None]:
    """Within the block standard error is written to if it can be; the exit status tells as well."""
    try:
        yield
    except OSError:
        give_up(sys.stderr)


def give_up(stream: TextIO) -> None:
    """Drop what is left to write.

    Some Pythons, that of Debian 12 among them, try again as they exit. That fails as well, with
    lines of its own and another exit status.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, stream.fileno())
    os.close(nowhere)
