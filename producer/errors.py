"""Why what stays running does not start, or does not go on.

::

    QueueError
    ├── CannotStartError   the machine lacks something, or something is in the way
    └── PartFailedError    a part of the system ends again and again
"""

from push_queue.errors import QueueError


class CannotStartError(QueueError):
    """The machine lacks something, or something is in the way."""


class PartFailedError(QueueError):
    """A part of the system ends again and again; the message has its last words."""
