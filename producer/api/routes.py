"""What the API has, path by path: what serves it, and the models that it speaks in."""

from dataclasses import dataclass
from http import HTTPMethod, HTTPStatus

from aiohttp.typedefs import Handler
from pydantic import BaseModel

from producer.api import following, jobs, service
from producer.api.models import (
    Health,
    JobDetails,
    JobList,
    JobPage,
    JobQuery,
    JobsQuery,
    NewJob,
    NewJobs,
    Reset,
    ThroughputAnswer,
    WorkerList,
)
from push_queue.api_tokens import Role
from push_queue.job_events import JobEvent
from push_queue.models import JobProgress, JobStatus

V1 = "/api/v1"

Models = tuple[type[BaseModel], ...]


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path; the first line of its handler's docstring says what it does."""

    method: HTTPMethod
    path: str
    handler: Handler
    answers: Models
    """One of these is the answer."""
    status: HTTPStatus = HTTPStatus.OK
    query: type[BaseModel] | None = None
    takes: Models = ()
    """The body is one of these; empty if the request has no body."""
    stream: bool = False
    """Whether the answers are the data of server-sent events."""
    may_be_empty: bool = False
    """Whether 204 may be the answer."""
    key: bool = False
    """Whether ``Idempotency-Key`` is heeded."""
    role: Role | None = Role.READ
    """Who may; anybody at all if None."""


ROUTES = (
    Route(
        HTTPMethod.POST,
        f"{V1}/jobs",
        jobs.enqueue,
        (JobStatus, JobList),
        HTTPStatus.ACCEPTED,
        takes=(NewJob, NewJobs),
        key=True,
        role=Role.ENQUEUE,
    ),
    Route(HTTPMethod.GET, f"{V1}/jobs", jobs.list_jobs, (JobPage,), query=JobsQuery),
    Route(HTTPMethod.GET, f"{V1}/jobs/{{job_id}}", jobs.read_job, (JobDetails,), query=JobQuery),
    Route(
        HTTPMethod.POST,
        f"{V1}/jobs/{{job_id}}/cancel",
        jobs.cancel,
        (JobStatus,),
        role=Role.ENQUEUE,
    ),
    Route(
        HTTPMethod.POST, f"{V1}/jobs/{{job_id}}/retry", jobs.retry, (JobStatus,), role=Role.ENQUEUE
    ),
    Route(
        HTTPMethod.GET,
        f"{V1}/jobs/{{job_id}}/events",
        following.follow_job,
        (JobStatus, JobProgress),
        stream=True,
        may_be_empty=True,
    ),
    Route(
        HTTPMethod.GET,
        f"{V1}/events",
        following.follow_all,
        (JobEvent, JobProgress, Reset),
        stream=True,
    ),
    Route(HTTPMethod.GET, f"{V1}/workers", service.list_workers, (WorkerList,)),
    Route(HTTPMethod.GET, f"{V1}/throughput", service.throughput, (ThroughputAnswer,)),
    Route(HTTPMethod.GET, "/healthz", service.healthy, (Health,), role=None),
    Route(HTTPMethod.GET, "/readyz", service.ready, (Health,), role=None),
)
