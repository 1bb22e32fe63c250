"""What happens in a chaos run, drawn from a seed alone: jobs, and faults in the order they strike.

A fault of servers and workers strikes after a number of jobs has ended, one of the network after a
number of matching requests. So a plan fits fast and slow machines, and all of it happens.
"""

import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property

WORKERS = 3
REPOSITORIES = 3
"""The last one lies in a registry of its own, the remote one, which is down for long at times."""


class Fault(StrEnum):
    """What is done to workers, servers and jobs."""

    WORKER_TERM = "worker told to stop"
    WORKER_KILL = "worker killed"
    WORKER_PAUSE = "worker paused beyond its lease"
    CLOCK_FAST = "worker's clock 60 s fast"
    CLOCK_SLOW = "worker's clock 60 s slow"
    ROLL_BACK = "worker rolled back to an older release, and upgraded"
    TAG_PAUSED = "worker paused in a tag write, which comes late"
    TAG_KILLED = "worker killed in a tag write, which comes late"
    TAG_CUT = "worker cut off in a tag write, which comes late"
    REDIS_KILL = "Redis killed, and back"
    REDIS_LOST = "Redis killed, its replica takes over"
    REDIS_PAUSE = "Redis paused, its replica takes over"
    REGISTRY_KILL = "registry killed, and back"
    REMOTE_AWAY = "remote registry refuses connections for long"
    REMOTE_STORM = "remote registry answers 502 and 504 for long"
    CANCEL = "job cancelled"
    RETRY = "job enqueued again"
    REPLACE = "tar replaced in mid-push"


class NetworkFault(StrEnum):
    """What is done to one request between worker and registry."""

    RESET = "connection reset"
    BROKEN_UPLOAD = "connection reset in mid-upload"
    LOST_ANSWER = "answer lost"
    TOO_MANY = "429"
    TOO_MANY_WAIT = "429, Retry-After"
    ERROR = "500"
    BUSY = "503"
    BUSY_WAIT = "503, Retry-After"


JOBS_FOR_EACH: dict[Fault, int] = {
    Fault.WORKER_TERM: 25,
    Fault.WORKER_KILL: 15,
    Fault.WORKER_PAUSE: 30,
    Fault.CLOCK_FAST: 60,
    Fault.CLOCK_SLOW: 60,
    Fault.ROLL_BACK: 60,
    Fault.TAG_PAUSED: 60,
    Fault.TAG_KILLED: 60,
    Fault.TAG_CUT: 60,
    Fault.REDIS_KILL: 50,
    Fault.REDIS_LOST: 100,
    Fault.REDIS_PAUSE: 100,
    Fault.REGISTRY_KILL: 50,
    Fault.REMOTE_AWAY: 150,
    Fault.REMOTE_STORM: 150,
    Fault.CANCEL: 12,
    Fault.RETRY: 15,
    Fault.REPLACE: 25,
}
"""How many jobs there are for each such fault; there is at least one."""

LATEST = dict.fromkeys((Fault.TAG_PAUSED, Fault.TAG_KILLED, Fault.TAG_CUT), 0.4)
"""Share of the jobs that have ended when the last such fault strikes; 0.7 for others.

To overtake a tag's writer there must be jobs left that write it.
"""

JOBS_FOR_EACH_NETWORK_FAULT = 20

REQUESTS_OF_A_JOB: dict[NetworkFault, float] = {
    **dict.fromkeys(NetworkFault, 4.0),
    NetworkFault.BROKEN_UPLOAD: 0.15,
    NetworkFault.LOST_ANSWER: 2.0,
}
"""Requests of the kind that each fault can strike; a lower bound, so that all strike."""

CONTENDED = "latest"

SMALL_BYTES = (1_000, 60_000)
BIG_BYTES = (2_000_000, 5_000_000)
BIG_SHARE = 0.25
BROKEN_SHARE = 0.04
CLEANUP_SHARE = 0.5
SHARED_SHARE = 0.5
"""Of the jobs with cleanup: the tar is that of the job before, if that has cleanup, too."""


@dataclass(frozen=True)
class PlannedJob:
    """A build: pushed to a tag of its own, and to one that all builds of its repository want."""

    number: int
    repository: str
    layer_bytes: int
    big: bool
    broken: bool
    """Its archive is missing, so it must fail."""
    own_tag_first: bool
    cleanup: bool
    source: int
    """The number of the job whose archive this is."""

    @property
    def id(self) -> str:
        return f"build-{self.number:04d}"

    @property
    def own_tag(self) -> str:
        return f"{self.repository}:{self.number}"

    @property
    def remote(self) -> bool:
        """Whether it is pushed to the remote registry."""
        return self.number % REPOSITORIES == REPOSITORIES - 1

    @property
    def contended_tag(self) -> str:
        return f"{self.repository}:{CONTENDED}"

    @property
    def tags(self) -> tuple[str, ...]:
        tags = (self.own_tag, self.contended_tag)
        return tags if self.own_tag_first else tags[::-1]


def is_contended(tag: str) -> bool:
    """Of `repository:tag`: whether more than one job writes it."""
    return tag.endswith(f":{CONTENDED}")


@dataclass(frozen=True, order=True)
class Strike:
    """A fault, once `after` jobs have ended."""

    after: int
    fault: Fault
    subject: int
    """The number of the worker or of the job; servers have none."""
    seconds: float
    """How long a worker is paused, beyond its lease, or a server is down."""


@dataclass(frozen=True)
class NetworkStrike:
    """A fault of the request number `ordinal` among those that it can strike."""

    fault: NetworkFault
    ordinal: int
    share: float
    """Of an upload that passes before it breaks."""


@dataclass(frozen=True)
class Plan:
    """The same seed and number of jobs, the same plan."""

    seed: int
    count: int

    @cached_property
    def jobs(self) -> tuple[PlannedJob, ...]:
        return tuple(self._draw_jobs(random.Random(f"{self.seed} jobs")))

    @cached_property
    def strikes(self) -> tuple[Strike, ...]:
        return tuple(sorted(self._draw_strikes(random.Random(f"{self.seed} strikes"))))

    @cached_property
    def network_strikes(self) -> tuple[NetworkStrike, ...]:
        return tuple(self._draw_network_strikes(random.Random(f"{self.seed} network")))

    def _draw_jobs(self, rng: random.Random) -> Iterator[PlannedJob]:
        lent = None  # the tar of the job before, if it may be shared
        for number in range(self.count):
            big = rng.random() < BIG_SHARE
            cleanup = rng.random() < CLEANUP_SHARE
            shares = cleanup and lent is not None and rng.random() < SHARED_SHARE
            broken = not shares and rng.random() < BROKEN_SHARE
            yield PlannedJob(
                number=number,
                repository=f"chaos/app-{number % REPOSITORIES}",
                layer_bytes=rng.randint(*(BIG_BYTES if big else SMALL_BYTES)),
                big=big,
                broken=broken,
                own_tag_first=rng.random() < 0.5,
                cleanup=cleanup,
                source=number - 1 if shares else number,
            )
            lent = number if cleanup and not shares and not broken else None

    def _draw_strikes(self, rng: random.Random) -> Iterator[Strike]:
        for fault, jobs in JOBS_FOR_EACH.items():
            for _ in range(max(1, self.count // jobs)):
                after = rng.randint(self.count // 10, int(self.count * LATEST.get(fault, 0.7)))
                draw = SUBJECTS.get(fault, a_worker)
                yield Strike(after, fault, draw(self, after, rng), rng.uniform(0.2, 1.5))

    def _draw_network_strikes(self, rng: random.Random) -> Iterator[NetworkStrike]:
        for fault in NetworkFault:
            requests = max(1, int(self.count * REQUESTS_OF_A_JOB[fault]))
            for _ in range(max(1, self.count // JOBS_FOR_EACH_NETWORK_FAULT)):
                yield NetworkStrike(fault, rng.randint(1, requests), rng.random())


# Targets of a fault, after a number of jobs has ended


def a_worker(plan: Plan, after: int, rng: random.Random) -> int:
    return rng.randrange(WORKERS)


def a_job_at_the_head(plan: Plan, after: int, rng: random.Random) -> int:
    """Waiting or running by then."""
    return min(after + rng.randrange(12), plan.count - 1)


def a_job_that_keeps_its_tar(plan: Plan, after: int, rng: random.Random) -> int:
    """One that has begun or soon will."""
    return rng.choice([job.number for job in plan.jobs[: after + 10] if not job.cleanup])


def a_tar_to_replace(plan: Plan, after: int, rng: random.Random) -> int:
    """Of a job that has it for itself, best of one that has not begun by then, and is big."""
    lent = {job.source for job in plan.jobs if job.source != job.number}
    own = (job for job in plan.jobs if job.cleanup and job.source == job.number and not job.broken)
    alone = (job for job in own if job.number not in lent)
    return min(alone, key=lambda job: (job.number < after, not job.big, job.number)).number


SUBJECTS: dict[Fault, Callable[[Plan, int, random.Random], int]] = {
    Fault.CANCEL: a_job_at_the_head,
    Fault.RETRY: a_job_that_keeps_its_tar,
    Fault.REPLACE: a_tar_to_replace,
}
