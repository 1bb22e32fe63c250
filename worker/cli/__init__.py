"""The ``push-worker`` command: run a worker, or ask whether one is alive here."""

import sys
from typing import NoReturn

INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line and exit; the exit status is in its help."""
    try:
        # Imported here so that Ctrl-C while Python still loads is as quiet as later.
        from .app import run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
