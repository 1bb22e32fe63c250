"""The ``push-worker`` command: run a worker, or ask whether one is alive here."""

import gc
import sys
from typing import NoReturn

INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line and exit; the exit status is in its help."""
    # Loading makes hundreds of thousands of objects, and all of them stay.
    gc.disable()
    try:
        # Imported here so that Ctrl-C while Python still loads is as quiet as later.
        from .app import run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        # A process that exits gives all its memory back at once.
        gc.freeze()
        gc.enable()
