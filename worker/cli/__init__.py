"""The ``push-worker`` command: run a worker, or ask whether one is alive here."""

import gc
import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command line and exit; the exit status is in its help."""
    # Loading makes hundreds of thousands of objects, and all of them stay.
    gc.disable()
    try:
        # Imported here so that Ctrl-C while Python still loads is as quiet as later.
        from push_queue.ending_signals import end_at_once_by_signals

        end_at_once_by_signals()
        from .app import run

        run()
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)
    finally:
        # A process that exits gives all its memory back at once.
        gc.freeze()
        gc.enable()
