"""Whether somebody may be watching."""

import sys


def stderr_is_terminal() -> bool:
    """Whether standard error is a terminal; the caller may have closed it."""
    return bool(sys.stderr and sys.stderr.isatty())
