"""Which workers understand a job: the format number in its record.

A job has the lowest format that knows all its options. While a fleet is upgraded, old workers leave
jobs with a new option to new workers, and run all others. A record without a number is of format 1.
"""

from collections.abc import Callable

from push_queue.models.job import PushJob
from push_queue.models.source_urls import is_url
from push_queue.models.uploads import upload_id_of

FORMAT = 3
"""The newest format that this release understands."""

FIRST_FORMAT = 1

NAMES_CALLERS = 3
"""The first format whose records say who enqueued, retried or cancelled the job."""

NAMES_TRACES = 3
"""The first format whose records name a trace."""

_INTRODUCED: tuple[tuple[int, Callable[[PushJob], bool]], ...] = (
    (2, lambda job: job.give_up_after is not None),
    (3, lambda job: upload_id_of(job.source) is not None or is_url(job.source)),
)
"""The formats after the first, each with a test whether a job uses an option that came with it."""


def format_of(job: PushJob) -> int:
    """The lowest format that knows all options of the job."""
    return max((number for number, used in _INTRODUCED if used(job)), default=FIRST_FORMAT)
