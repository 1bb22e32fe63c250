"""``push-queue enqueue --server``: uploads the tars, and has the server enqueue their jobs."""

import asyncio
import os
import sys
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from time import monotonic
from typing import Any

import typer

from producer.cli.requests import STANDARD_INPUT, Request, Tar
from producer.cli.wording import printable, size
from producer.errors import ServerRefusedError
from producer.job_description import PushOptions, describe_push
from producer.remote.queue import RemoteQueue
from producer.remote.upload_source import FileSource, StreamSource, UploadSource
from push_queue.errors import InvalidJobError, JobConflictError, QueueError, UnknownJobError
from push_queue.models.job import PushJob, PushRequest
from push_queue.models.job_status import JobStatus
from push_queue.models.uploads import upload_id_of
from push_queue.settings import Settings
from push_queue.terminal import stderr_is_terminal

REDRAW_SECONDS = 0.1

_FORBIDDEN = frozenset({"target-not-allowed", "role-missing", "claims-not-allowed"})


async def enqueue_remotely(
    queue: RemoteQueue,
    settings: Settings,
    requests: Sequence[Request],
    options: PushOptions,
    not_before: datetime | timedelta | None,
    *,
    upload: bool,
) -> list[JobStatus]:
    """Enqueue the jobs, with their tars uploaded unless the workers have them.

    A job whose id is enqueued already needs no upload: it is the same job, or an error.
    """
    tars = dict.fromkeys(request.source for request in requests) if upload else ()
    enqueued = await _enqueued_source(queue, options.get("job_id"))
    sources: dict[Tar, str] = {}
    try:
        for tar in tars:
            if isinstance(tar, Path):
                sources[tar] = enqueued or await _upload(queue, tar)
    except (QueueError, asyncio.CancelledError):
        await _discard(queue, sources, enqueued)
        raise
    start = not_before if isinstance(not_before, datetime) else None
    if isinstance(not_before, timedelta):
        start = datetime.now(UTC) + not_before
    jobs = [
        _as_json(
            describe_push(
                sources.get(request.source, request.source),
                request.targets,
                settings,
                **request.with_options(options),
            ),
            start,
            with_attempts=options.get("max_attempts") is not None,
        )
        for request in requests
    ]
    try:
        return await queue.enqueue_many(jobs)
    except (InvalidJobError, ServerRefusedError) as error:
        if refused_as_a_whole(error):
            await _discard(queue, sources, enqueued)
        _name_as_typed(error, sources)
        raise


def _name_as_typed(error: Exception, sources: dict[Tar, str]) -> None:
    """The server knows the tars by their uploads, whose names nobody has seen."""
    text = str(error)
    for tar, source in sources.items():
        text = text.replace(source, "standard input" if tar == STANDARD_INPUT else str(tar))
    error.args = (text,)


async def _discard(queue: RemoteQueue, sources: dict[Tar, str], enqueued: str | None) -> None:
    """Delete the uploads, whose names nobody else knows."""
    for source in set(sources.values()) - {enqueued}:
        await queue.discard(source)


def refused_as_a_whole(error: InvalidJobError | ServerRefusedError) -> bool:
    """Whether no job was enqueued for sure, so that none needs its upload."""
    if isinstance(error, ServerRefusedError):
        return error.kind in _FORBIDDEN
    return not isinstance(error, JobConflictError)


async def _enqueued_source(queue: RemoteQueue, job_id: str | None) -> str | None:
    """The upload of the job that has the id; None if there is no such job."""
    if job_id is None:
        return None
    try:
        source = (await queue.status(job_id)).source
    except UnknownJobError:
        return None
    return source if upload_id_of(source) else None


async def _upload(queue: RemoteQueue, path: Path) -> str:
    if path == STANDARD_INPUT:
        source: UploadSource = StreamSource("standard input", sys.stdin.buffer)
    else:
        source = FileSource(path)
    view = _ProgressLine(Path(source.name).name)
    try:
        return await queue.upload(source, view.show)
    finally:
        view.clear()


class _ProgressLine:
    """How far an upload is, on a terminal alone."""

    def __init__(self, name: str) -> None:
        self._name = printable(name)
        self._shown_at = 0.0
        self._on_terminal = stderr_is_terminal() and os.environ.get("TERM") != "dumb"

    def show(self, done: int, total: int | None) -> None:
        if not self._on_terminal or monotonic() - self._shown_at < REDRAW_SECONDS:
            return
        self._shown_at = monotonic()
        of = f" of {size(total)}, {done * 100 // total} %" if total else ""
        typer.echo(f"\ruploading {self._name}: {size(done)}{of}\x1b[K", nl=False, err=True)

    def clear(self) -> None:
        if self._shown_at:
            typer.echo("\r\x1b[K", nl=False, err=True)


def _as_json(job: PushJob, start: datetime | None, *, with_attempts: bool) -> dict[str, Any]:
    """As the API has it; without a number of attempts the server's setting counts."""
    known = set(PushRequest.model_fields) - (set() if with_attempts else {"max_attempts"})
    fields = job.model_dump(mode="json", exclude_none=True, include=known)
    if start:
        fields["not_before"] = start.isoformat()
    return fields
