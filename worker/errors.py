"""How an attempt can end besides success and failure; these pass through the push engine."""


class JobLostError(Exception):
    """The job is no longer this worker's: nothing more is to be written for it."""


class DeferError(Exception):
    """The attempt cannot go on now and is put off for ``delay`` seconds; it is not used up."""

    def __init__(self, reason: str, delay: float) -> None:
        super().__init__(reason)
        self.delay = delay
