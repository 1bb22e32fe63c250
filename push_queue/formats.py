"""Which workers understand a job: the format number in its record.

A job's format is the lowest that knows every option which the job uses. So while a fleet is
upgraded, workers of the old release go on with all jobs but those that use a new option, and leave
these to workers of the new one. A record without a number is of format 1.
"""

from collections.abc import Callable

from push_queue.models import PushJob

FORMAT = 2
"""The newest that this release understands."""

FIRST_FORMAT = 1

_INTRODUCED: tuple[tuple[int, Callable[[PushJob], bool]], ...] = (
    (2, lambda job: job.give_up_after is not None),
)
"""Formats after the first, each with whether a job uses an option, or a value of one, that came
with it."""


def format_of(job: PushJob) -> int:
    """The lowest format that knows all options of the job."""
    return max((number for number, used in _INTRODUCED if used(job)), default=FIRST_FORMAT)
