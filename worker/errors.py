"""Ends of an attempt that are neither success nor failure. They pass through the push engine."""


class JobLostError(Exception):
    """The job is no longer this worker's, which must write nothing more for it."""


class DeferError(Exception):
    """The attempt cannot continue now. It is postponed by ``delay`` seconds, and does not count."""

    def __init__(self, reason: str, delay: float) -> None:
        super().__init__(reason)
        self.delay = delay
