"""What every line of the log says about its worker, and about the job that it belongs to."""

from collections.abc import Iterable
from contextlib import AbstractContextManager

from structlog.contextvars import bind_contextvars, bound_contextvars

from push_queue.models.assignments import Assignment
from push_queue.traces import trace_id


def log_worker(worker_id: str) -> None:
    """From now on, in this task and in those that it starts."""
    bind_contextvars(worker=worker_id)


def log_job(job_id: str) -> AbstractContextManager[None]:
    """While arq runs the job."""
    return bound_contextvars(job=job_id)


def log_attempt(assignment: Assignment) -> AbstractContextManager[None]:
    """During the attempt."""
    trace = {"trace": trace_id(assignment.traceparent)} if assignment.traceparent else {}
    return bound_contextvars(**attempt_fields(assignment), **trace)


def attempt_fields(assignment: Assignment) -> dict[str, str | int]:
    """Which attempt it is, and where it pushes to; several names stand together."""
    places = [target.partition("/") for target in assignment.targets]
    return {
        "attempt": assignment.attempt,
        "registry": _together(registry for registry, _, _ in places),
        "repository": _together(image.rpartition(":")[0] for _, _, image in places),
    }


def _together(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(names))
