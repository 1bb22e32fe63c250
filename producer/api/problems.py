"""Every error as problem+json (RFC 9457): one line that names the thing and says what to do."""

import logging
from collections.abc import Mapping
from http import HTTPMethod, HTTPStatus
from typing import NamedTuple

from aiohttp import web
from aiohttp.typedefs import Handler

from producer.api.models.service import Problem
from producer.api.problem_types import ProblemType
from producer.api.route import V1
from producer.errors import (
    NoSpoolError,
    SpoolBusyError,
    SpoolFullError,
    SpoolUnavailableError,
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
    WebhookInUseError,
)
from registry_api_v2_client.exceptions import ValidationError

logger = logging.getLogger(__name__)

MEDIA_TYPE = "application/problem+json"
RETRY_AFTER_SECONDS = 5
_MOST_DETAIL = 1000
_UPLOADS = f"{V1}/uploads"
_NAMELESS = (
    f"an upload is PUT to a URL with a name, such as {_UPLOADS}/app.tar; any name without a slash "
    "will do (curl adds that of a file after a slash, but standard input has none)"
)


class ProblemError(Exception):
    """A request that is answered with a problem."""

    def __init__(
        self,
        problem: ProblemType,
        detail: str,
        *,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.problem = problem
        self.headers = headers or {}


class _Kind(NamedTuple):
    error: type[Exception]
    problem: ProblemType


# First match wins.
_KINDS = (
    _Kind(JobConflictError, ProblemType.JOB_CONFLICT),
    _Kind(SourceGoneError, ProblemType.SOURCE_GONE),
    _Kind(UnreadableJobError, ProblemType.UNREADABLE_JOB),
    _Kind(InvalidJobError, ProblemType.INVALID_REQUEST),
    _Kind(InvalidFilterError, ProblemType.INVALID_REQUEST),
    _Kind(ValidationError, ProblemType.INVALID_REQUEST),
    _Kind(UnknownJobError, ProblemType.UNKNOWN_JOB),
    _Kind(UnknownWorkerError, ProblemType.UNKNOWN_WORKER),
    _Kind(UnknownWebhookError, ProblemType.UNKNOWN_WEBHOOK),
    _Kind(WebhookInUseError, ProblemType.WEBHOOK_IN_USE),
    _Kind(OldWorkerError, ProblemType.OLD_WORKER),
    _Kind(NoSpoolError, ProblemType.NO_SPOOL),
    _Kind(UnknownUploadError, ProblemType.UNKNOWN_UPLOAD),
    _Kind(UploadBusyError, ProblemType.UPLOAD_BUSY),
    _Kind(UploadCompleteError, ProblemType.COMPLETED_UPLOAD),
    _Kind(UploadLengthError, ProblemType.INCONSISTENT_UPLOAD_LENGTH),
    _Kind(UploadDigestError, ProblemType.DIGEST_MISMATCH),
    _Kind(SpoolBusyError, ProblemType.TOO_MANY_UPLOADS),
    _Kind(SpoolFullError, ProblemType.SPOOL_FULL),
    _Kind(SpoolUnavailableError, ProblemType.SPOOL_UNAVAILABLE),
    _Kind(UploadIncompleteError, ProblemType.UPLOAD_INCOMPLETE),
    _Kind(UploadTooLargeError, ProblemType.UPLOAD_TOO_LARGE),
    _Kind(RedisUnavailableError, ProblemType.REDIS_UNAVAILABLE),
)


_OF_AIOHTTP: Mapping[int, ProblemType] = {
    problem.status: problem
    for problem in (
        ProblemType.NOT_FOUND,
        ProblemType.METHOD_NOT_ALLOWED,
        ProblemType.EXPECTATION_FAILED,
        ProblemType.REQUEST_ENTITY_TOO_LARGE,
    )
}
"""What aiohttp itself refuses; anything else of it is a bad request."""


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Answers every failure of a request with a problem, and keeps it from other requests."""
    try:
        return await handler(request)
    except ProblemError as error:
        return problem_answer(error.problem, str(error), error.headers)
    except web.HTTPException as error:
        return of_aiohttp(request, error)
    except Exception as error:
        for known in _KINDS:
            if isinstance(error, known.error):
                return problem_answer(known.problem, str(error))
        logger.exception("%s %s failed", request.method, request.rel_url.raw_path)
        return internal_error()


def internal_error() -> web.Response:
    """The answer to a request that something of ours failed at."""
    return problem_answer(ProblemType.INTERNAL_ERROR, "the server's log says what failed")


def of_aiohttp(request: web.BaseRequest, error: web.HTTPException) -> web.Response:
    """The problem of a request that the server itself refuses."""
    path = request.rel_url.raw_path
    details = {
        ProblemType.NOT_FOUND: f"there is nothing at {path}; /openapi.json lists the paths",
        ProblemType.METHOD_NOT_ALLOWED: (
            f"{path} does not take {request.method}; it takes {error.headers.get('Allow')}"
        ),
        ProblemType.EXPECTATION_FAILED: "Expect: may be 100-continue alone",
    }
    problem = _OF_AIOHTTP.get(error.status, ProblemType.INVALID_REQUEST)
    detail = details.get(problem, error.text or error.reason)
    if request.method == HTTPMethod.PUT and _names_no_upload(path, problem):
        detail = _NAMELESS
    answer = problem_answer(problem, detail)
    if "Allow" in error.headers:
        answer.headers["Allow"] = error.headers["Allow"]
    return answer


def _names_no_upload(path: str, problem: ProblemType) -> bool:
    """Whether somebody tries to upload to a path that has no name, or a name with a slash."""
    nowhere = problem is ProblemType.NOT_FOUND and path.startswith(f"{_UPLOADS}/")
    return nowhere or path == _UPLOADS


def problem_answer(
    of_type: ProblemType, detail: str, headers: Mapping[str, str] | None = None
) -> web.Response:
    """A problem as an answer."""
    status = of_type.status
    problem = Problem(
        type=of_type.uri,
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
