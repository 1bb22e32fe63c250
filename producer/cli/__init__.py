"""The ``push-queue`` command."""

import gc
import sys
from typing import NoReturn

INTERRUPTED = 130
COLLECT_AFTER = 50_000
"""New objects after which Python looks for circles of garbage. By its own threshold it would look a
hundred times while modules load, which leave none."""


def main() -> NoReturn:
    """Run the command line and exit: 0 success, 1 a push failed, 2 bad input, 3 no Redis."""
    gc.set_threshold(COLLECT_AFTER)
    try:
        # Imported here so that Ctrl-C while Python still loads is as quiet as later.
        from producer.cli.app import run

        code = run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    # Nor need Python look for garbage as it exits: all memory goes back at once.
    gc.freeze()
    sys.exit(code)
