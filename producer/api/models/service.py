"""The workers, the registries, and the server itself."""

from collections.abc import Iterable
from typing import Self

from pydantic import BaseModel

from push_queue.figures.throughput import Minute
from push_queue.models.fleet import RegistryInfo, WorkerInfo


class WorkerList(BaseModel):
    """The workers that are alive."""

    workers: tuple[WorkerInfo, ...]
    """All of them, by their ids."""

    @classmethod
    def of(cls, workers: Iterable[WorkerInfo]) -> Self:
        """The list as it is answered."""
        return cls(workers=tuple(workers))


class RegistryList(BaseModel):
    """The registries in use, by name."""

    registries: tuple[RegistryInfo, ...]
    """Those that the caller may push to."""


class ThroughputAnswer(BaseModel):
    """What all workers have done in the last hour."""

    minutes: tuple[Minute, ...]
    """One entry for each minute, the oldest first. The last one is not over yet."""


class Health(BaseModel):
    """All is well."""

    status: str = "ok"
    """``ok``; a problem is answered otherwise."""


class Reset(BaseModel):
    """Some events are not known any more."""

    detail: str = "events before this one are lost; read the jobs again"
    """What to do about it."""


class Problem(BaseModel):
    """An error, as RFC 9457 has it."""

    type: str
    """A URI that says which error it is; stays the same."""
    title: str
    """The name of the status."""
    status: int
    """The status, as a number."""
    detail: str
    """One line that names the thing and says what to do."""
