"""The ``push-queue`` command."""

import gc
import sys
from typing import NoReturn

INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line and exit: 0 success, 1 a push failed, 2 bad input, 3 no Redis."""
    # Loading makes hundreds of thousands of objects, and all of them stay.
    gc.disable()
    try:
        # Imported here so that Ctrl-C while Python still loads is as quiet as later.
        from producer.cli.app import run

        code = run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    finally:
        # A process that exits gives all its memory back at once.
        gc.freeze()
        gc.enable()
    sys.exit(code)
