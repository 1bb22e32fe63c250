"""``python benchmarks/queue.py``: the benchmarks of the queue, beside plain arq.

For single ones: ``python -m benchmarks queue-rate …``.
"""

import sys
from pathlib import Path

if not __package__:
    # As a script its own folder comes first, where this file hides the standard library's queue.
    sys.path[0] = str(Path(__file__).resolve().parents[1])

from benchmarks.__main__ import app
from benchmarks.model import Scale
from benchmarks.suites import QUEUE_BENCHMARKS

if __name__ == "__main__":
    app([*sys.argv[1:], *(make(Scale()).name for make in QUEUE_BENCHMARKS)])
