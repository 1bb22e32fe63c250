"""Models to Redis fields and back: plain strings that are readable in redis-cli."""

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from enum import StrEnum

from pydantic import ValidationError

from push_queue.errors import UnreadableJobError, summarize
from push_queue.models import formats
from push_queue.models.job import PushJob
from push_queue.models.job_status import (
    Attempt,
    BlobStatus,
    JobProgress,
    JobState,
    JobStatus,
    Progress,
    TargetResult,
)

RESULT = "result:"
"""Prefix of the fields that hold a target's digest: ``result:localhost:5000/app:1``."""

FAILURE = "failure:"
"""Prefix of the fields that say why a target was given up, while others are waited for."""

SUPERSEDED = "superseded"
"""The value of such a field if a newer job has written the tag."""

PROGRESS_FIELDS = ("targets", *Progress.model_fields)
"""What the progress of a running job is read from."""

JSON_FIELDS = frozenset({"targets", "labels", "notes"})


class Bookkeeping(StrEnum):
    """Fields of a record that are not part of a status."""

    FORMAT = "format"
    """A number that rises with new options. Workers that do not know it leave the job alone."""
    FENCE = "fence"
    """The number of starts. A worker with a lower one changes nothing."""
    TOKEN = "token"
    """Of the latest start, which may be asked for twice."""
    HELD = "held"
    """The targets that the latest attempt leaves out, since their registries are away."""
    PROBING = "probing"
    """The registries that the job tries first after their pause."""
    WAITING_AT = "waiting_at"
    """The registries that it waits for."""
    PROGRESSED_AT = "progressed_at"
    """When it got further last; the time to give up is counted from then."""
    MOST_BYTES = "most_bytes"
    """The most bytes that were done in any attempt, which tells progress from repetition."""
    MOST_BLOBS = "most_blobs"
    """The most blobs that were done in any attempt."""
    SOURCE_SEEN = "source_seen"
    """Which file the first attempt read; another one fails the job."""


_ERROR_LENGTH = 2000

NO_HASH = {"": ""}
"""The fields of a job whose key holds something other than a hash."""

_BLANK = {
    "source": "/?",
    "targets": ("?",),
    "sequence": 0,
    "enqueued_at": datetime.fromtimestamp(0, UTC),
}
"""Values to show for required fields that cannot be read."""
_NEWER = "a worker of the newer release that it was enqueued by"


def timestamp(moment: datetime) -> str:
    """ISO 8601 in UTC with milliseconds: ``2026-01-31T09:30:00.123Z``."""
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def decode(fields: Mapping[bytes, bytes]) -> dict[str, str]:
    """A hash as redis-py returns it. Bytes that are not UTF-8 become U+FFFD."""
    return {
        name.decode(errors="replace"): value.decode(errors="replace")
        for name, value in fields.items()
    }


def pairs(items: Sequence[bytes]) -> dict[str, str]:
    """A hash as a script returns it: field, value, field, value, …"""
    return decode(dict(zip(items[::2], items[1::2], strict=True)))


def flat(fields: Mapping[str, str]) -> list[str]:
    """A hash as a script takes it: field, value, field, value, …"""
    return [text for pair in fields.items() for text in pair]


def one_line(text: str) -> str:
    """An error as it is stored: on one line, and cut if it is very long."""
    return " ".join(text.split())[:_ERROR_LENGTH]


def fields_of(
    job: PushJob, caller: str | None = None, traceparent: str | None = None
) -> dict[str, str]:
    """The fields of a new job. Options that are not given have none."""
    given = job.model_dump(
        mode="json", exclude_none=True, exclude=set() if job.labels else {"labels"}
    )
    fields = {name: _text(value) for name, value in given.items()}
    number = formats.format_of(job)
    if caller:
        number = max(number, formats.NAMES_CALLERS)
        fields["enqueued_by"] = caller
    if traceparent:
        number = max(number, formats.NAMES_TRACES)
        fields["traceparent"] = traceparent
    return fields | {"format": str(number)}


def parse_status(fields: Mapping[str, str]) -> JobStatus:
    """Read a job's hash.

    Raises:
        UnreadableJobError: naming the fields that cannot be read.
    """
    if fields is NO_HASH:
        raise UnreadableJobError("it is not a hash")
    try:
        status = JobStatus.model_validate(_values(fields))
    except ValidationError as error:
        raise UnreadableJobError(summarize(error)) from None
    if not fields.get("fence", "0").isdecimal():
        raise UnreadableJobError("fence: not a number")
    return status


def refuse_unknown_options(fields: Mapping[str, str]) -> None:
    """Refuse a job with an option that this release does not know, since it would be ignored.

    Only the first attempt asks. Later, workers of newer releases may have added status fields.

    Raises:
        UnreadableJobError: naming the fields.
    """
    known, prefixes = JobStatus.model_fields.keys() | set(Bookkeeping), (RESULT, FAILURE)
    unknown = sorted(name for name in fields if name not in known and not name.startswith(prefixes))
    if unknown:
        raise UnreadableJobError(f"{', '.join(unknown)}: unknown")


def parse_whatever(job_id: str, fields: Mapping[str, str]) -> JobStatus:
    """Read as much of a job's hash as possible, in order to show it.

    A damaged record is shown as a job that failed with ``invalid_job``, as it soon will. A record
    of a newer format is shown as far as this release understands it.
    """
    try:
        return parse_status(fields)
    except UnreadableJobError as error:
        damage = str(error)
    values = _values(fields)
    wrong = _wrong_fields(values)
    legible = {name: value for name, value in values.items() if name not in wrong}
    if is_newer(fields) and "state" in legible:
        verdict: dict[str, object] = {"waiting_for": legible.get("waiting_for", _NEWER)}
    else:
        verdict = {"state": JobState.FAILED, **invalid_job(damage)}
    return JobStatus.model_validate({**_BLANK, **legible, **verdict, "id": job_id})


def _wrong_fields(values: Mapping[str, object]) -> set[str]:
    try:
        JobStatus.model_validate(values)
    except ValidationError as error:
        return {str(item["loc"][0]) for item in error.errors(include_url=False)}
    return set()


def is_newer(fields: Mapping[str, str]) -> bool:
    """Whether a newer release enqueued the job, with options that this one does not know."""
    number = fields.get("format", "")
    return number.isascii() and number.isdecimal() and int(number) > formats.FORMAT


def invalid_job(damage: str) -> dict[str, str]:
    """The error of a job whose record is damaged."""
    return {
        "error": f"the job's record cannot be read ({damage}); enqueue it again",
        "error_kind": UnreadableJobError.kind,
    }


def _values(fields: Mapping[str, str]) -> dict[str, object]:
    values = {
        name: _parse_json(value) if name in JSON_FIELDS else value
        for name, value in fields.items()
        if not name.startswith(RESULT)
    }
    targets = values.get("targets")
    results = tuple(
        _result(target, fields[f"{RESULT}{target}"])
        for target in (targets if isinstance(targets, list) else ())
        if f"{RESULT}{target}" in fields
    )
    return {**values, "results": results}


def _parse_json(text: str) -> object:
    """Text that is not JSON stays as it is. The model refuses it."""
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def blob_fields(blobs: Iterable[BlobStatus]) -> dict[str, str]:
    """``digest → "done/size how"``."""
    return {blob.digest: f"{blob.done}/{blob.size} {blob.how}".rstrip() for blob in blobs}


def parse_blobs(fields: Mapping[str, str]) -> Iterator[BlobStatus]:
    """Read a job's blobs, sorted by digest. Unreadable ones are left out."""
    for digest, value in sorted(fields.items()):
        with suppress(ValidationError):
            yield _parse_blob(digest, value)


def parse_progress(records: Iterable[tuple[str, object]]) -> Iterator[JobProgress]:
    """Read ``PROGRESS_FIELDS`` of jobs, by their ids. Unreadable ones are left out."""
    for job_id, values in records:
        if isinstance(values, list):
            named = zip(PROGRESS_FIELDS, values, strict=True)
            given = decode({name.encode(): value for name, value in named if value is not None})
            with suppress(ValidationError):
                yield JobProgress.model_validate({**_values(given), "id": job_id})


def parse_attempts(items: Iterable[bytes]) -> Iterator[Attempt]:
    """Read the attempts that have ended. Unreadable ones are left out."""
    for item in items:
        with suppress(ValidationError):
            yield Attempt.model_validate_json(item)


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
