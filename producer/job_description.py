"""Makes a job from a caller's request."""

import os
import re
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypedDict, TypeGuard

from push_queue.errors import InvalidJobError
from push_queue.models.ids import JOB_ID_PATTERN, new_job_id
from push_queue.models.job import Compression, Priority, PushJob, make_job
from push_queue.models.source_urls import is_url
from push_queue.models.uploads import upload_id_of
from push_queue.settings import Settings
from registry_api_v2_client.exceptions import ValidationError
from registry_api_v2_client.platforms import Platform
from registry_api_v2_client.reference import parse_reference, split_digest

MOST_DELAY = timedelta(days=3650)
"""As long as records of unfinished jobs are kept."""

_NO_SEGMENT = (".", "..")
"""Clients take these out of the path of a URL (RFC 3986, section 5.2.4)."""


class PushOptions(TypedDict, total=False):
    """The options of a push besides source and targets; see ``PushQueue.enqueue``."""

    job_id: str | None
    image: str | None
    platform: str | None
    compression: Compression
    priority: Priority
    max_attempts: int | None
    give_up_after: timedelta | None
    ordered: bool
    cleanup: bool
    labels: Mapping[str, str] | None


def describe_push(
    source: str | Path,
    targets: str | Iterable[str],
    settings: Settings,
    *,
    job_id: str | None = None,
    image: str | None = None,
    platform: str | None = None,
    compression: Compression = "gzip",
    priority: Priority = "normal",
    max_attempts: int | None = None,
    give_up_after: timedelta | None = None,
    ordered: bool = True,
    cleanup: bool = False,
    labels: Mapping[str, str] | None = None,
) -> PushJob:
    """The job, with names in full; see ``PushQueue.enqueue``.

    Raises:
        registry_api_v2_client.ValidationError: a target is not a reference to push to,
            ``image`` holds a login, or ``platform`` is not a platform.
        InvalidJobError: the rest cannot make a job.
    """
    if job_id in _NO_SEGMENT:
        raise InvalidJobError(f"invalid job: id {job_id!r} cannot stand in a URL; use another")
    if job_id is not None and not re.fullmatch(JOB_ID_PATTERN, job_id):
        raise InvalidJobError(
            f"invalid job: id {job_id[:40]!r} cannot be used; give 1 to 128 letters, digits, . _ -"
        )
    references = [targets] if isinstance(targets, str) else targets
    return make_job(
        id=new_job_id() if job_id is None else job_id,
        source=source if _is_no_path(source) else _absolute(source),
        targets=tuple(_target(reference) for reference in references),
        image=_without_login(image) if image else image,
        platform=str(Platform.parse(platform)) if platform else None,
        compression=compression,
        priority=priority,
        max_attempts=settings.max_attempts if max_attempts is None else max_attempts,
        give_up_after=None if give_up_after is None else int(give_up_after.total_seconds()),
        ordered=ordered,
        cleanup=cleanup,
        labels=dict(labels or {}),
    )


def check_start(not_before: datetime | timedelta | None) -> None:
    """Refuse a start that cannot be kept.

    Raises:
        InvalidJobError: a moment without a time zone, or one more than ten years away.
    """
    if isinstance(not_before, datetime):
        if not not_before.tzinfo:
            raise InvalidJobError("invalid job: not_before has no time zone")
        not_before -= datetime.now(UTC)
    if not_before and not_before > MOST_DELAY:
        raise InvalidJobError("invalid job: not_before is more than ten years away")


def _is_no_path(source: str | Path) -> TypeGuard[str]:
    return isinstance(source, str) and (is_url(source) or upload_id_of(source) is not None)


def _absolute(path: str | Path) -> str:
    """The name of a file that has one: without ``..``, unless that goes up from a link's folder.

    Only then it is looked for here: it may be the workers' alone.
    """
    named = Path(path).absolute()
    if ".." not in named.parts:
        return _in_utf8(named)
    plain = Path(os.path.normpath(named))
    file = _file_at(named)
    return _in_utf8(named if file and file != _file_at(plain) else plain)


def _in_utf8(path: Path) -> str:
    """The name as text, also where the locale of this process has no such letters."""
    name = str(path)
    try:
        name.encode()
    except UnicodeEncodeError:  # Python keeps bytes in it that it could not read.
        try:
            return os.fsencode(path).decode()
        except UnicodeError:
            raise InvalidJobError(
                f"invalid job: the name {name!r} is not UTF-8, so no job can hold it; rename the "
                "file"
            ) from None
    return name


def _file_at(path: Path) -> tuple[int, int] | None:
    """What distinguishes the file from others; None if it cannot be seen from here."""
    try:
        found = path.stat()
    except (OSError, ValueError):
        return None
    return found.st_dev, found.st_ino


def _without_login(image: str) -> str:
    """The image's name in its archive, which everybody who may read jobs will see."""
    split_digest(image)
    return image


def _target(text: str) -> str:
    """The reference in full, tag included."""
    reference = parse_reference(text)
    if reference.digest:
        raise ValidationError(f"{text!r}: push to a tag, not to a digest")
    return str(reference)
