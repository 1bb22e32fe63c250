"""The ``push-queue`` command."""

import gc
import sys

SIGNALLED = 128
"""With the number of the signal added, it is the exit status."""


def main() -> None:
    """Run the command line and exit: 0 success, 1 a push failed, 2 bad input, 3 no Redis."""
    # Loading makes hundreds of thousands of objects, and all of them stay.
    gc.disable()
    try:
        # Imported here so that Ctrl-C while Python still loads is as quiet as later.
        from push_queue.ending_signals import end_at_once_by_signals, end_by

        end_at_once_by_signals()
        from producer.cli.app import run

        code = run()
        if code > SIGNALLED:
            end_by(code - SIGNALLED)
    except KeyboardInterrupt:
        code = SIGNALLED + 2
    finally:
        # A process that exits gives all its memory back at once.
        gc.freeze()
        gc.enable()
    sys.exit(code)
