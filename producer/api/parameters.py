"""Parts of paths, and headers: what no model has. Each is described in Markdown."""

from collections.abc import Mapping
from typing import Any

from pydantic import TypeAdapter

from producer.api.uploads.requests import (
    COMPLETE,
    CONTENT_DIGEST,
    CONTENT_RANGE,
    CONTENT_RANGE_PATTERN,
    FALSE,
    LENGTH,
    NUMBER_PATTERN,
    OFFSET,
    REPR_DIGEST,
    TRUE,
)
from push_queue.jobs.events import POSITION
from push_queue.models.job import JobId
from registry_api_v2_client.reference import REGISTRY_PATTERN

Schema = Mapping[str, Any]

_JOB_ID = TypeAdapter(JobId).json_schema()
_TEXT: Schema = {"type": "string"}
_NUMBER: Schema = {"type": "string", "pattern": f"^{NUMBER_PATTERN}$"}
_PART: Schema = {"type": "string", "pattern": "^[^/]+$"}

PARTS: Mapping[str, Schema] = {
    "job_id": {
        **_JOB_ID,
        "description": "The job's id: the caller's own, or the one that was answered.",
    },
    "upload_id": {
        **_PART,
        "description": "The id that was answered. To begin an upload by `PUT`, any name that is "
        "no id; it means nothing.",
    },
    "worker_id": {**_PART, "description": "The worker's id, as `GET /api/v1/workers` has it."},
    "registry": {
        "type": "string",
        "pattern": f"^({REGISTRY_PATTERN})$",
        "description": "The host in references, with its port if it has one: `reg.example.com`.",
    },
    "webhook": {
        **_PART,
        "description": "The name of the receiver, as `GET /api/v1/webhooks` has it.",
    },
}
"""The parts of paths by their names."""

HEADERS: Mapping[str, Schema] = {
    "Idempotency-Key": {
        **_JOB_ID,
        "description": "The id of the job, if the body is a single job without one.",
    },
    "traceparent": {
        **_TEXT,
        "description": "The caller's span (W3C Trace Context), which the push then belongs to. "
        "What is no span is ignored.",
    },
    "Last-Event-ID": {
        "type": "string",
        "pattern": POSITION,
        "description": "The `id` of the last event that arrived, to go on after it. Without it, "
        "the stream begins now.",
    },
    OFFSET: {
        **_NUMBER,
        "description": "Where the body goes: how many bytes of the upload are before it.",
    },
    COMPLETE: {
        "type": "string",
        "enum": [FALSE, TRUE],
        "description": f"`{TRUE}`: the upload ends with this body. Without it, the upload ends "
        f"where `{LENGTH}` says.",
    },
    LENGTH: {
        **_NUMBER,
        "description": "The bytes that the whole upload will have. It may be left out while "
        "unknown, and has to be the same in each request.",
    },
    CONTENT_RANGE: {
        "type": "string",
        "pattern": f"^{CONTENT_RANGE_PATTERN}$",
        "description": "Which bytes of the upload the body has, as `bytes 1000-1999/5000`; `*` in "
        "place of an unknown length. Without it, the body is the whole upload.",
    },
    REPR_DIGEST: {
        **_TEXT,
        "description": "`sha-256=:BASE64:` of the whole upload (RFC 9530), which is refused if its "
        "bytes are others.",
    },
    CONTENT_DIGEST: {
        **_TEXT,
        "description": f"As `{REPR_DIGEST}`, where the body is the whole upload.",
    },
    "Range": {
        **_TEXT,
        "description": "The bytes that are wanted, as `bytes=0-1023`. Without it, all of them.",
    },
    "If-Range": {
        **_TEXT,
        "description": "The `ETag` of an answer before: the range counts only if it still fits; "
        "else all is answered.",
    },
    "If-Match": {
        **_TEXT,
        "description": "The `ETag` of an answer before: 412 if it does not fit any more.",
    },
}
"""The headers of requests by their names."""

ANSWERED: Mapping[str, Schema] = {
    "Location": {
        **_TEXT,
        "description": "The path of what was made: the job, if it is one alone, or the upload.",
    },
    OFFSET: {**_NUMBER, "description": "How many bytes of the upload have arrived."},
    COMPLETE: {
        "type": "string",
        "enum": [FALSE, TRUE],
        "description": f"`{TRUE}` once all of the upload has arrived.",
    },
    LENGTH: {**_NUMBER, "description": "The bytes of the whole upload, once that is known."},
    REPR_DIGEST: {
        **_TEXT,
        "description": "`sha-256=:BASE64:` of the upload, once it is complete (RFC 9530).",
    },
    "Retry-After": {**_NUMBER, "description": "In how many seconds to ask again."},
}
"""The headers of answers by their names."""
