"""What Redis holds: the fields of a job, what belongs to it, and all keys."""

import inspect
import re
from collections.abc import Iterator

from push_queue.docstrings import docstring
from push_queue.jobs.codec import Bookkeeping
from push_queue.jobs.events import JobEvent
from push_queue.models.fleet import WorkerInfo, WorkerState
from push_queue.models.job import PushJob
from push_queue.models.job_status import (
    Attempt,
    BlobStatus,
    JobState,
    JobStatus,
    Outcome,
    Progress,
)
from push_queue.redis import keys as keys_module
from scripts.reference.markdown import code, prose, table
from scripts.reference.models import fields, members

_ROW = re.compile(r"``(\S+)`` +(\w+) +(.*)")


def states() -> str:
    """The states of a job."""
    return members(JobState)


def asked() -> str:
    """What the caller asked for."""
    return fields(PushJob)


def status() -> str:
    """How the job stands."""
    return fields(JobStatus, only=inspect.get_annotations(JobStatus).keys() - {"results"})


def progress() -> str:
    """How far it is."""
    return fields(Progress)


def bookkeeping() -> str:
    """What only workers need."""
    return members(Bookkeeping)


def blobs() -> str:
    """The progress of a blob."""
    return fields(BlobStatus)


def attempts() -> str:
    """An attempt that has ended, and how it may have ended."""
    return f"{fields(Attempt)}\n\n{members(Outcome)}"


def events() -> str:
    """A change of state."""
    return fields(JobEvent)


def workers() -> str:
    """A worker that is alive, and its states."""
    return f"{fields(WorkerInfo)}\n\n{members(WorkerState)}"


def keys() -> str:
    """All keys, from the table in the module that builds them."""
    return table(("key", "type", "holds"), _keys())


def _keys() -> Iterator[tuple[str, str, str]]:
    text = docstring(keys_module).partition("\n====")[2].partition("\n====")[0]
    for row in re.split(r"\n(?=``)", text)[1:]:
        found = _ROW.match(" ".join(row.split()))
        if not found:
            raise ValueError(f"not a row of a key: {row}")
        name = re.sub(r"\{(.*?)\}", r"<\1>", found[1])
        yield code(name), found[2], prose(re.sub(r"\{(\w+)\}", r"<\1>", found[3]))
