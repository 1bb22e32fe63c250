"""What is known when a chaos run has ended."""

from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

from producer import Attempt, JobStatus
from tests.chaos.archives import JobImage
from tests.chaos.fleet import Fleet
from tests.chaos.network import ChaosProxy
from tests.chaos.plan import Fault, Plan
from tests.chaos.read_back import HeldImage
from tests.support.servers import Registry


@dataclass
class Evidence:
    """Gathered by the run, for `invariants` to judge."""

    plan: Plan
    images: dict[str, JobImage]
    """By the ids of their jobs."""
    next_builds: dict[str, JobImage]
    """What may have replaced a job's tar."""
    fleet: Fleet
    proxy: ChaosProxy
    registry: Registry
    struck: Counter[Fault] = field(default_factory=Counter)
    cancelled: set[str] = field(default_factory=set)
    """Jobs whose cancellation was requested."""
    statuses: dict[str, JobStatus] = field(default_factory=dict)
    attempts: dict[str, list[Attempt]] = field(default_factory=dict)
    known_ids: set[str] = field(default_factory=set)
    leftovers: list[str] = field(default_factory=list)
    tags: dict[str, HeldImage | None] = field(default_factory=dict)
    """What the registry holds, by `repository:tag`."""
    sources: set[Path] = field(default_factory=set)
    """The tars that are still there."""
    replaced: set[str] = field(default_factory=set)
    """Jobs whose tar was replaced."""
    timed_out: bool = False
    seconds: float = 0
