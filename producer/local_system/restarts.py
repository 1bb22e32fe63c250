"""When a part that ended is started again."""

from dataclasses import dataclass


@dataclass
class Restarts:
    """Counts the ends in a row; the wait doubles with each.

    A part that ran for ``steady_seconds`` counts as healthy again. With the ``most``-th end in a
    row there are no more starts.
    """

    first_seconds: float = 0.5
    steady_seconds: float = 10.0
    most: int = 5
    ends: int = 0

    def after(self, ran_seconds: float) -> float | None:
        """Seconds to wait after a part has ended that ran for some time; None: do not start it."""
        self.ends = 1 if ran_seconds >= self.steady_seconds else self.ends + 1
        if self.ends >= self.most:
            return None
        return self.first_seconds * 2.0 ** (self.ends - 1)
