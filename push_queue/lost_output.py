"""Standard output that cannot be written any more."""

import os
import sys


def give_up_output() -> None:
    """Drop what is left to write.

    Some Pythons, that of Debian 12 among them, try again as they exit. That fails as well, with
    lines of its own and another exit status.
    """
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)
