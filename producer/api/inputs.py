"""The inputs of a request, checked."""

import asyncio
from typing import TypeVar

from aiohttp import web
from aiohttp.http_exceptions import HttpProcessingError
from pydantic import BaseModel, TypeAdapter, ValidationError

from producer.api.access.callers import caller_of
from producer.api.access.keys import LIMITS
from producer.api.models.jobs import NewJob, NewJobs
from producer.api.problem_types import ProblemType
from producer.api.problems import ProblemError
from push_queue.errors import UnknownJobError, summarize
from push_queue.models.job import JobId

MOST_BODY_BYTES = 1024 * 1024
_MOST_SMALL_BODY_BYTES = 4096
"""Where anybody may send one, or it says nothing."""
BODY_SECONDS = 30.0
"""Seconds in which a body must arrive."""
JSON = "application/json"
_FORMS = ("application/x-www-form-urlencoded", "multipart/form-data", "text/plain")
"""What a page of any origin can send without a preflight request."""
MOST_ERRORS = 100
"""That are looked at one by one."""

Model = TypeVar("Model", bound=BaseModel)

_job_id: TypeAdapter[str] = TypeAdapter(JobId)


def job_id_of(request: web.Request) -> str:
    """The job that the path names.

    Raises:
        UnknownJobError: it is not the id of a job.
    """
    text = request.match_info["job_id"]
    try:
        return _job_id.validate_python(text)
    except ValidationError:
        raise UnknownJobError(text) from None


def query_of(request: web.Request, model: type[Model]) -> Model:
    """The parameters behind the ``?``; one that is given several times is a list.

    Raises:
        ProblemError: naming the parameter.
    """
    given = {name: request.query.getall(name) for name in request.query}
    values = {name: found if len(found) > 1 else found[0] for name, found in given.items()}
    try:
        return model.model_validate(values)
    except ValidationError as error:
        raise invalid(error) from None


async def small_body_of(request: web.Request, model: type[Model]) -> Model:
    """The body as this model.

    Raises:
        ProblemError: naming the field.
    """
    try:
        return model.model_validate_json(await _body(request, _MOST_SMALL_BODY_BYTES))
    except ValidationError as error:
        raise invalid(error) from None


async def new_jobs_of(request: web.Request) -> tuple[tuple[NewJob, ...], bool]:
    """The jobs in the body, and whether it was one alone.

    Raises:
        ProblemError: naming the field.
    """
    size = request.content_length
    size = MOST_BODY_BYTES if size is None else min(size, MOST_BODY_BYTES)
    with request.app[LIMITS].body(caller_of(request), size):
        body = await _body(request, MOST_BODY_BYTES)
    alone = not body.lstrip(b" \t\r\n").startswith(b"[")
    try:
        if not alone:
            jobs = NewJobs.model_validate_json(body).root
        else:
            jobs = (NewJob.model_validate_json(body),)
    except ValidationError as error:
        raise invalid(error) from None
    return _named(jobs, request.headers.getall("Idempotency-Key", []), alone), alone


async def no_body(request: web.Request, instead: str = "") -> None:
    """Read an empty body, if there is any. A refusal says what to do ``instead`` of sending one.

    Raises:
        ProblemError: it is neither empty nor ``{}``, or it may come from a form.
    """
    if not (request.can_read_body or request.content_type in _FORMS):
        return
    refusal = f"this request takes no body, or {{}} as {JSON}{instead}"
    if request.content_type != JSON:
        raise _unsupported(refusal)
    if (await _body(request, _MOST_SMALL_BODY_BYTES)).strip() not in (b"", b"{}"):
        raise bad_request(refusal)


def not_compressed(request: web.Request) -> None:
    """Refuse a body that would be decompressed before its size is known.

    Raises:
        ProblemError: it is compressed.
    """
    encodings = request.headers.getall("Content-Encoding", [])
    if any(encoding.lower() != "identity" for encoding in encodings):
        raise _unsupported("the body must not be compressed; send it as it is")


def invalid(error: ValidationError) -> ProblemError:
    """What pydantic rejects, without the values."""
    if error.error_count() > MOST_ERRORS:
        return bad_request(f"{error.error_count()} fields are wrong; try one job alone")
    return bad_request(summarize(error, lambda path: path or "body"))


def bad_request(detail: str) -> ProblemError:
    return ProblemError(ProblemType.INVALID_REQUEST, detail)


def _named(jobs: tuple[NewJob, ...], keys: list[str], alone: bool) -> tuple[NewJob, ...]:
    """The jobs with the id that the header gives, which may stand in quotes."""
    if not keys:
        return jobs
    key, *others = keys
    if others:
        raise bad_request("Idempotency-Key is given twice; give it once")
    if not alone:
        raise bad_request("Idempotency-Key names one job; give each job of a batch its id")
    try:
        job_id = _job_id.validate_python(key.removeprefix('"').removesuffix('"'))
    except ValidationError as error:
        raise bad_request(summarize(error, lambda _: "Idempotency-Key")) from None
    if jobs[0].id not in (None, job_id):
        raise bad_request("Idempotency-Key and id differ; give one of them")
    return (jobs[0].model_copy(update={"id": job_id}),)


async def _body(request: web.Request, most: int) -> bytes:
    if request.content_type != JSON:
        raise _unsupported(f"the body has to be {JSON}; say so with Content-Type")
    not_compressed(request)
    if (request.content_length or 0) > most:
        raise _too_large(most)
    try:
        async with asyncio.timeout(BODY_SECONDS):
            return await request.clone(client_max_size=most).read()
    except web.HTTPRequestEntityTooLarge:
        raise _too_large(most) from None
    except TimeoutError:
        raise ProblemError(
            ProblemType.REQUEST_TIMEOUT,
            f"the body did not arrive within {BODY_SECONDS:g} s; send it again",
        ) from None
    except (ConnectionError, HttpProcessingError, web.RequestPayloadError):
        raise bad_request("the body broke off; send it again") from None


def _too_large(most: int) -> ProblemError:
    return ProblemError(
        ProblemType.REQUEST_ENTITY_TOO_LARGE,
        f"the body is too large; send {most} bytes at most",
    )


def _unsupported(detail: str) -> ProblemError:
    return ProblemError(ProblemType.UNSUPPORTED_MEDIA_TYPE, detail)
