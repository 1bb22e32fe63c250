"""The table of the API's paths."""

from http import HTTPMethod, HTTPStatus

from producer.api import bulk, following, jobs, operating, service, sessions
from producer.api.models.jobs import JobDetails, JobList, JobPage, JobQuery, NewJob, NewJobs
from producer.api.models.operating import NewPause, Ping, PurgeQuery, QueueState, WebhookList
from producer.api.models.selection import BulkQuery, CancelQuery, JobsQuery, RetryQuery
from producer.api.models.service import Health, RegistryList, Reset, ThroughputAnswer, WorkerList
from producer.api.models.sessions import Login, Session
from producer.api.models.uploads import UploadQuery, UploadStatus
from producer.api.route import Route
from producer.api.uploads import handlers as uploads
from producer.api.uploads.requests import (
    COMPLETE,
    CONTENT_DIGEST,
    CONTENT_RANGE,
    LENGTH,
    OFFSET,
    REPR_DIGEST,
)
from producer.spool.purge import PurgedUploads
from push_queue.figures.stats import QueueStats
from push_queue.jobs.events import JobEvent
from push_queue.models.fleet import RegistryInfo, WorkerInfo
from push_queue.models.job_status import JobProgress, JobStatus
from push_queue.registries.knowledge import ForgottenKnowledge
from push_queue.settings.api_tokens import Role
from push_queue.webhook_outbox import ForgottenWebhook

V1 = "/api/v1"

ROUTES = (
    Route(
        HTTPMethod.POST,
        f"{V1}/jobs",
        jobs.enqueue,
        (JobStatus, JobList),
        HTTPStatus.ACCEPTED,
        takes=(NewJob, NewJobs),
        headers=("traceparent",),
        key=True,
        role=Role.ENQUEUE,
        refusals=(HTTPStatus.NOT_FOUND, HTTPStatus.CONFLICT),
    ),
    Route(HTTPMethod.GET, f"{V1}/jobs", jobs.list_jobs, (JobPage,), query=JobsQuery),
    Route(
        HTTPMethod.POST,
        f"{V1}/jobs/cancel",
        bulk.cancel_jobs,
        (JobPage,),
        query=CancelQuery,
        role=Role.ENQUEUE,
    ),
    Route(
        HTTPMethod.POST,
        f"{V1}/jobs/retry",
        bulk.retry_jobs,
        (JobPage,),
        query=RetryQuery,
        role=Role.ENQUEUE,
    ),
    Route(
        HTTPMethod.POST,
        f"{V1}/jobs/purge",
        bulk.purge_jobs,
        (JobPage,),
        query=BulkQuery,
        role=Role.ADMIN,
    ),
    Route(
        HTTPMethod.GET,
        f"{V1}/jobs/{{job_id}}",
        jobs.read_job,
        (JobDetails,),
        query=JobQuery,
        refusals=(HTTPStatus.CONFLICT,),
    ),
    Route(
        HTTPMethod.POST,
        f"{V1}/jobs/{{job_id}}/cancel",
        jobs.cancel,
        (JobStatus,),
        role=Role.ENQUEUE,
        refusals=(HTTPStatus.CONFLICT,),
    ),
    Route(
        HTTPMethod.POST,
        f"{V1}/jobs/{{job_id}}/retry",
        jobs.retry,
        (JobStatus,),
        role=Role.ENQUEUE,
        refusals=(HTTPStatus.CONFLICT,),
    ),
    Route(
        HTTPMethod.GET,
        f"{V1}/jobs/{{job_id}}/events",
        following.follow_job,
        (JobStatus, JobProgress),
        stream=True,
        may_be_empty=True,
        refusals=(HTTPStatus.CONFLICT,),
    ),
    Route(
        HTTPMethod.GET,
        f"{V1}/events",
        following.follow_all,
        (JobEvent, JobProgress, Reset),
        stream=True,
    ),
    Route(
        HTTPMethod.POST,
        f"{V1}/uploads",
        uploads.create_upload,
        (UploadStatus,),
        HTTPStatus.CREATED,
        headers=(LENGTH,),
        role=Role.ENQUEUE,
        refusals=(HTTPStatus.INSUFFICIENT_STORAGE,),
    ),
    Route(
        HTTPMethod.PUT,
        f"{V1}/uploads/{{upload_id}}",
        uploads.put_upload,
        (UploadStatus,),
        HTTPStatus.CREATED,
        query=UploadQuery,
        headers=(CONTENT_RANGE, REPR_DIGEST, CONTENT_DIGEST),
        takes_tar=True,
        role=Role.ENQUEUE,
        refusals=(HTTPStatus.CONFLICT, HTTPStatus.INSUFFICIENT_STORAGE),
    ),
    Route(
        HTTPMethod.PATCH,
        f"{V1}/uploads/{{upload_id}}",
        uploads.append_to_upload,
        (UploadStatus,),
        query=UploadQuery,
        headers=(OFFSET, COMPLETE, LENGTH, REPR_DIGEST, CONTENT_DIGEST),
        takes_tar=True,
        role=Role.ENQUEUE,
        refusals=(HTTPStatus.CONFLICT, HTTPStatus.INSUFFICIENT_STORAGE),
    ),
    Route(
        HTTPMethod.GET,
        f"{V1}/uploads/{{upload_id}}",
        uploads.read_upload,
        (UploadStatus,),
        role=Role.ENQUEUE,
    ),
    Route(
        HTTPMethod.DELETE,
        f"{V1}/uploads/{{upload_id}}",
        uploads.delete_upload,
        (),
        HTTPStatus.NO_CONTENT,
        role=Role.ENQUEUE,
        refusals=(HTTPStatus.CONFLICT,),
    ),
    Route(
        HTTPMethod.GET,
        f"{V1}/uploads/{{upload_id}}/content",
        uploads.read_content,
        (),
        headers=("Range", "If-Range", "If-Match"),
        gives_tar=True,
        role=Role.WORKER,
        refusals=(HTTPStatus.CONFLICT,),
    ),
    Route(
        HTTPMethod.DELETE,
        f"{V1}/uploads/{{upload_id}}/content",
        uploads.delete_content,
        (),
        HTTPStatus.NO_CONTENT,
        role=Role.WORKER,
        refusals=(HTTPStatus.CONFLICT,),
    ),
    Route(HTTPMethod.GET, f"{V1}/workers", service.list_workers, (WorkerList,)),
    Route(
        HTTPMethod.POST,
        f"{V1}/workers/{{worker_id}}/drain",
        operating.drain_worker,
        (WorkerInfo,),
        role=Role.ADMIN,
        refusals=(HTTPStatus.CONFLICT,),
    ),
    Route(HTTPMethod.GET, f"{V1}/registries", service.list_registries, (RegistryList,)),
    Route(
        HTTPMethod.POST,
        f"{V1}/registries/{{registry}}/pause",
        operating.pause_registry,
        (RegistryInfo,),
        takes=(NewPause,),
        role=Role.ADMIN,
    ),
    Route(
        HTTPMethod.POST,
        f"{V1}/registries/{{registry}}/resume",
        operating.resume_registry,
        (RegistryInfo,),
        role=Role.ADMIN,
    ),
    Route(
        HTTPMethod.POST,
        f"{V1}/registries/{{registry}}/forget",
        operating.forget_registry,
        (ForgottenKnowledge,),
        query=PurgeQuery,
        role=Role.ADMIN,
    ),
    Route(
        HTTPMethod.POST,
        f"{V1}/uploads/purge",
        operating.purge_uploads,
        (PurgedUploads,),
        query=PurgeQuery,
        role=Role.ADMIN,
    ),
    Route(
        HTTPMethod.GET,
        f"{V1}/webhooks",
        operating.list_webhooks,
        (WebhookList,),
        role=Role.ADMIN,
    ),
    Route(
        HTTPMethod.POST,
        f"{V1}/webhooks/{{webhook}}/ping",
        operating.ping_webhook,
        (Ping,),
        role=Role.ADMIN,
    ),
    Route(
        HTTPMethod.POST,
        f"{V1}/webhooks/{{webhook}}/forget",
        operating.forget_webhook,
        (ForgottenWebhook,),
        query=PurgeQuery,
        role=Role.ADMIN,
        refusals=(HTTPStatus.CONFLICT,),
    ),
    Route(HTTPMethod.GET, f"{V1}/queue", operating.read_queue, (QueueState,)),
    Route(
        HTTPMethod.POST,
        f"{V1}/queue/pause",
        operating.pause_queue,
        (QueueState,),
        takes=(NewPause,),
        role=Role.ADMIN,
    ),
    Route(
        HTTPMethod.POST,
        f"{V1}/queue/resume",
        operating.resume_queue,
        (QueueState,),
        role=Role.ADMIN,
    ),
    Route(HTTPMethod.GET, f"{V1}/stats", service.read_stats, (QueueStats,)),
    Route(HTTPMethod.GET, f"{V1}/throughput", service.throughput, (ThroughputAnswer,)),
    Route(
        HTTPMethod.POST,
        f"{V1}/session",
        sessions.log_in,
        (Session,),
        HTTPStatus.CREATED,
        takes=(Login,),
        role=None,
        refusals=(HTTPStatus.UNAUTHORIZED, HTTPStatus.CONFLICT),
    ),
    Route(HTTPMethod.GET, f"{V1}/session", sessions.who_am_i, (Session,)),
    Route(
        HTTPMethod.DELETE,
        f"{V1}/session",
        sessions.log_out,
        (),
        HTTPStatus.NO_CONTENT,
        role=None,
    ),
    Route(HTTPMethod.GET, "/healthz", service.healthy, (Health,), role=None),
    Route(HTTPMethod.GET, "/readyz", service.ready, (Health,), role=None),
)
