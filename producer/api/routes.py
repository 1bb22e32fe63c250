"""What the API has, path by path."""

from dataclasses import dataclass
from http import HTTPMethod

from aiohttp.typedefs import Handler

from producer.api import jobs, service

V1 = "/api/v1"


@dataclass(frozen=True, slots=True)
class Route:
    """One method of one path."""

    method: HTTPMethod
    path: str
    handler: Handler


ROUTES = (
    Route(HTTPMethod.POST, f"{V1}/jobs", jobs.enqueue),
    Route(HTTPMethod.GET, f"{V1}/jobs", jobs.list_jobs),
    Route(HTTPMethod.GET, f"{V1}/jobs/{{job_id}}", jobs.read_job),
    Route(HTTPMethod.POST, f"{V1}/jobs/{{job_id}}/cancel", jobs.cancel),
    Route(HTTPMethod.POST, f"{V1}/jobs/{{job_id}}/retry", jobs.retry),
    Route(HTTPMethod.GET, f"{V1}/workers", service.list_workers),
    Route(HTTPMethod.GET, "/healthz", service.healthy),
    Route(HTTPMethod.GET, "/readyz", service.ready),
)
