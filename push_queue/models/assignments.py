"""What a worker is given to do, and the answers to what it asks and reports."""

from dataclasses import dataclass
from enum import StrEnum

from push_queue.models.job import PushJob


@dataclass(frozen=True, slots=True)
class Assignment:
    """A job that a worker is to run now, for one attempt."""

    job: PushJob
    targets: tuple[str, ...]
    """The targets to push to now: not done yet, and not at a registry that is down."""
    attempt: int
    fence: int
    """Increases with each start of the job, even if ``attempt`` does not."""
    sequence: int = 0
    """The job's place in the order of enqueueing."""
    bytes_sent: int = 0
    """By the attempts before."""
    traceparent: str | None = None
    """The span that enqueued the job."""


@dataclass(frozen=True, slots=True)
class Wait:
    """The job is due, but waits for registries, its last worker, or a newer worker."""

    seconds: float
    """How long to wait. ``ArqQueue.release`` may wake it earlier, or a newer worker take it."""


class Signal(StrEnum):
    """The answer to a worker that reports on the job that it runs."""

    CONTINUE = "continue"
    CANCEL = "cancel"
    """The user has cancelled the job: stop, then call ``mark_cancelled``."""
    LOST = "lost"
    """The job is no longer this worker's: stop, and write nothing else."""


class Turn(StrEnum):
    """The answer to a worker that asks for the turn to write a tag."""

    WRITE = "write"
    WAIT = "wait"
    """Another job is writing it."""
    SUPERSEDED = "superseded"
    """A job enqueued later has written it. This is recorded as the target's result."""
    LOST = "lost"
    """The job is no longer this worker's."""
