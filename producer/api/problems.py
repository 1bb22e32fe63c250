"""Every error as problem+json (RFC 9457): one line that names the thing and says what to do."""

import logging
from collections.abc import Mapping
from http import HTTPStatus
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from producer.api.models import Problem
from producer.errors import (
    NoSpoolError,
    SpoolBusyError,
    SpoolFullError,
    UnknownUploadError,
    UploadBusyError,
    UploadCompleteError,
    UploadDigestError,
    UploadIncompleteError,
    UploadLengthError,
    UploadTooLargeError,
)
from push_queue.errors import (
    InvalidFilterError,
    InvalidJobError,
    JobConflictError,
    OldWorkerError,
    RedisUnavailableError,
    SourceGoneError,
    UnknownJobError,
    UnknownWebhookError,
    UnknownWorkerError,
    UnreadableJobError,
)
from registry_api_v2_client.exceptions import ValidationError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
_URI = "urn:push-queue:problem:"
_MOST_DETAIL = 1000


class ProblemError(Exception):
    """A request that is answered with a problem."""

    def __init__(
        self,
        status: HTTPStatus,
        kind: str,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.headers = headers or {}


class _Kind(NamedTuple):
    error: type[Exception]
    status: HTTPStatus
    kind: str


# First match wins.
_KINDS = (
    _Kind(JobConflictError, HTTPStatus.CONFLICT, "job-conflict"),
    _Kind(SourceGoneError, HTTPStatus.CONFLICT, "source-gone"),
    _Kind(UnreadableJobError, HTTPStatus.CONFLICT, "unreadable-job"),
    _Kind(InvalidJobError, HTTPStatus.BAD_REQUEST, "invalid-request"),
    _Kind(InvalidFilterError, HTTPStatus.BAD_REQUEST, "invalid-request"),
    _Kind(ValidationError, HTTPStatus.BAD_REQUEST, "invalid-request"),
    _Kind(UnknownJobError, HTTPStatus.NOT_FOUND, "unknown-job"),
    _Kind(UnknownWorkerError, HTTPStatus.NOT_FOUND, "unknown-worker"),
    _Kind(UnknownWebhookError, HTTPStatus.NOT_FOUND, "unknown-webhook"),
    _Kind(OldWorkerError, HTTPStatus.CONFLICT, "old-worker"),
    _Kind(NoSpoolError, HTTPStatus.NOT_FOUND, "no-spool"),
    _Kind(UnknownUploadError, HTTPStatus.NOT_FOUND, "unknown-upload"),
    _Kind(UploadBusyError, HTTPStatus.CONFLICT, "upload-busy"),
    _Kind(UploadCompleteError, HTTPStatus.CONFLICT, "completed-upload"),
    _Kind(UploadLengthError, HTTPStatus.BAD_REQUEST, "inconsistent-upload-length"),
    _Kind(UploadDigestError, HTTPStatus.BAD_REQUEST, "digest-mismatch"),
    _Kind(SpoolBusyError, HTTPStatus.SERVICE_UNAVAILABLE, "too-many-uploads"),
    _Kind(SpoolFullError, HTTPStatus.INSUFFICIENT_STORAGE, "spool-full"),
    _Kind(UploadIncompleteError, HTTPStatus.CONFLICT, "upload-incomplete"),
    _Kind(UploadTooLargeError, HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "upload-too-large"),
    _Kind(RedisUnavailableError, HTTPStatus.SERVICE_UNAVAILABLE, "redis-unavailable"),
)


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers every failure of a request with a problem, and keeps it from other requests."""
    try:
        return await handler(request)
    except ProblemError as error:
        return problem_answer(error.status, error.kind, str(error), error.headers)
    except web.HTTPException as error:
        return of_aiohttp(request, error)
    except Exception as error:
        for known in _KINDS:
            if isinstance(error, known.error):
                return problem_answer(known.status, known.kind, str(error))
        logger.exception("%s %s failed", request.method, request.rel_url.raw_path)
        return internal_error()


def internal_error() -> web.Response:
    """The answer to a request that something of ours failed at."""
    return problem_answer(
        HTTPStatus.INTERNAL_SERVER_ERROR, "internal-error", "the server's log says what failed"
    )


def of_aiohttp(request: web.BaseRequest, error: web.HTTPException) -> web.Response:
    """The problem of a request that the server itself refuses."""
    path = request.rel_url.raw_path
    details = {
        HTTPStatus.NOT_FOUND: f"there is nothing at {path}; /openapi.json lists the paths",
        HTTPStatus.METHOD_NOT_ALLOWED: (
            f"{path} does not take {request.method}; it takes {error.headers.get('Allow')}"
        ),
        HTTPStatus.EXPECTATION_FAILED: "Expect: may be 100-continue alone",
    }
    status = HTTPStatus(error.status)
    answer = problem_answer(
        status,
        status.phrase.lower().replace(" ", "-"),
        details.get(status, error.text or error.reason),
    )
    if "Allow" in error.headers:
        answer.headers["Allow"] = error.headers["Allow"]
    return answer


def problem_answer(
    status: HTTPStatus, kind: str, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A problem as an answer."""
    problem = Problem(
        type=_URI + kind,
        title=status.phrase,
        status=status,
        detail=" ".join(detail.split())[:_MOST_DETAIL],
    )
    away = status is HTTPStatus.SERVICE_UNAVAILABLE
    retry = {"Retry-After": str(RETRY_AFTER_SECONDS)} if away else {}
    return web.Response(
        status=status,
        body=problem.model_dump_json().encode(),
        content_type=MEDIA_TYPE,
        headers={**retry, **(headers or {})},
    )
