"""Models to Redis fields and back: plain strings that redis-cli shows readably."""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime

from push_queue.models import BlobStatus, JobStatus, PushJob, TargetResult

RESULT = "result:"
"""Prefix of the fields that hold a target's digest: ``result:localhost:5000/app:1``."""

SUPERSEDED = "superseded"
"""What stands there instead where a newer job has written the tag."""

JSON_FIELDS = frozenset({"targets", "labels", "notes"})


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: ``2026-01-31T09:30:00.123Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def decode(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """A hash as redis-py answers it."""
    return {name.decode(): value.decode() for name, value in fields.items()}


def pairs(items: Sequence[bytes]) -> dict[str, str]:
    """A hash as a script answers it: field, value, field, value, …"""
    return decode(dict(zip(items[::2], items[1::2], strict=True)))


def flat(fields: Mapping[str, str]) -> list[str]:
    """A hash as a script takes it: field, value, field, value, …"""
    return [text for pair in fields.items() for text in pair]


def job_fields(job: PushJob) -> dict[str, str]:
    """The fields of a new job; what is not given is not written."""
    given = job.model_dump(
        mode="json", exclude_none=True, exclude=set() if job.labels else {"labels"}
    )
    return {name: _text(value) for name, value in given.items()}


def parse_status(fields: Mapping[str, str]) -> JobStatus:
    """Read a job's hash."""
    values: dict[str, object] = {
        name: json.loads(value) if name in JSON_FIELDS else value
        for name, value in fields.items()
        if not name.startswith(RESULT)
    }
    results = tuple(
        _result(target, fields[RESULT + target])
        for target in json.loads(fields.get("targets", "[]"))
        if RESULT + target in fields
    )
    return JobStatus.model_validate(values | {"results": results})


def blob_fields(blobs: Iterable[BlobStatus]) -> dict[str, str]:
    """``digest → "done/size how"``."""
    return {blob.digest: f"{blob.done}/{blob.size} {blob.how}".rstrip() for blob in blobs}


def parse_blobs(fields: Mapping[str, str]) -> tuple[BlobStatus, ...]:
    """Read a job's blobs, by digest: Redis keeps no order in a hash."""
    return tuple(_parse_blob(digest, value) for digest, value in sorted(fields.items()))


def _parse_blob(digest: str, text: str) -> BlobStatus:
    amount, _, how = text.partition(" ")
    done, _, size = amount.partition("/")
    return BlobStatus.model_validate({"digest": digest, "size": size, "done": done, "how": how})


def _result(target: str, text: str) -> TargetResult:
    if text == SUPERSEDED:
        return TargetResult(target=target, outcome="superseded")
    return TargetResult(target=target, outcome="pushed", digest=text)


def _text(value: object) -> str:
    """Strings as they are, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
