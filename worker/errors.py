"""Ends of an attempt that are neither success nor failure. They pass through the push engine."""


class JobLostError(Exception):
    """The job is no longer this worker's, which must write nothing more for it."""


class DeferError(Exception):
    """The attempt cannot go on now and is put off for ``delay`` seconds; it is not used up."""

    def __init__(self, reason: str, delay: float) -> None:
        super().__init__(reason)
        self.delay = delay
