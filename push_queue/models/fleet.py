"""The workers and the registries, as people see them."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import BaseModel, ConfigDict, NonNegativeInt, StringConstraints

from push_queue.models.pause import Pause


class WorkerState(StrEnum):
    """What a worker does about new jobs."""

    WORKING = "working"
    """It takes them."""
    DRAINING = "draining"
    """It ends those that it has, and then itself."""
    PAUSED = "paused"
    """The queue is paused: it ends those that it has, and waits."""


class WorkerInfo(BaseModel):
    """What a worker reports about itself."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: Annotated[str, StringConstraints(min_length=1, max_length=128)]
    """Its id: host, process, and what tells it from earlier ones."""
    host: str
    """The name of its machine."""
    pid: int
    """The id of its process there."""
    version: str
    """Its release."""
    started_at: datetime
    """When it was started."""
    running: NonNegativeInt = 0
    """The number of jobs that it runs now."""
    jobs: tuple[str, ...] = ()
    """The ids of these jobs. Older workers do not say."""
    max_jobs: NonNegativeInt = 0
    """The number of jobs that it runs at most. Older workers do not say."""
    problem: str = ""
    """What currently fails of its work for the whole queue, on one line; empty if nothing does."""
    heeds: bool = False
    """Whether it heeds pauses of the queue, and can be drained. Older workers do not."""
    state: WorkerState = WorkerState.WORKING
    """As the roster knows it; no worker reports it."""


class RegistryInfo(BaseModel):
    """How much a registry is used now, by all workers together."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Its host in references, with its port if it has one."""
    uploads: NonNegativeInt
    """Blobs that are being sent to it."""
    max_uploads: NonNegativeInt
    """How many of them it gets at once."""
    waiting: NonNegativeInt
    """Jobs that wait for it."""
    paused_until: datetime | None = None
    """The workers leave it alone until then; not set if they do not."""
    pause_reason: str | None = None
    """Why they leave it alone, on one line."""
    pause: Pause | None = None
    """The pause that a person has set; not set if there is none."""
    paused_since: datetime | None = None
    """The first of the pauses in a row began then. The registry has not answered since."""
