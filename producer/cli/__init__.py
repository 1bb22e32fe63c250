"""The ``push-queue`` command."""

import sys
from typing import NoReturn

INTERRUPTED = 130


def main() -> NoReturn:
    """Run the command line and exit: 0 success, 1 a push failed, 2 bad input, 3 no Redis."""
    try:
        # Imported here so that Ctrl-C while Python still loads is as quiet as later.
        from producer.cli.app import run

        code = run()
    except KeyboardInterrupt:
        code = INTERRUPTED
    sys.exit(code)
