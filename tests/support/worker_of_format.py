"""A worker of another release: ``python -m tests.support.worker_of_format 1`` knows format 1."""

import sys

from push_queue.models import formats
from worker.cli import main

formats.FORMAT = int(sys.argv.pop(1))
main()
