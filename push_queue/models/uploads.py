"""Uploads as sources of jobs: ``upload:<id>``, a tar in the spool."""

import re
from pathlib import Path

from push_queue.models.ids import UPLOAD_ID_PATTERN

SCHEME = "upload:"

_ID = re.compile(UPLOAD_ID_PATTERN)


def is_upload_id(text: str) -> bool:
    """Whether the text can be an id. Only then it may become part of a path."""
    return bool(_ID.fullmatch(text))


def source_of(upload_id: str) -> str:
    """What a job names as its source."""
    return f"{SCHEME}{upload_id}"


def upload_id_of(source: str) -> str | None:
    """The upload that is the source of a job; None if the source is something else."""
    upload_id = source.removeprefix(SCHEME)
    return upload_id if source.startswith(SCHEME) and is_upload_id(upload_id) else None


def tar_of(spool: Path, upload_id: str) -> Path:
    """Where a complete upload lies."""
    return spool / f"{upload_id}.tar"
