"""``push-queue enqueue --server``: uploads the tars, and has the server enqueue their jobs."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import typer

from producer.cli.requests import STANDARD_INPUT, Request, Tar
from producer.cli.wording import size
from producer.job_description import PushOptions, describe_push
from producer.remote.queue import RemoteQueue
from producer.remote.upload_source import FileSource, StreamSource, UploadSource
from push_queue.errors import UnknownJobError
from push_queue.models import JobStatus, PushJob, PushRequest
from push_queue.settings import Settings
from push_queue.uploads import upload_id_of


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
    sources: dict[Tar, str] = {}
    if job_id := options.get("job_id"):
        with suppress(UnknownJobError):
            source = (await queue.status(job_id)).source
            if upload_id_of(source):
                sources[requests[0].source] = source
    for tar in dict.fromkeys(request.source for request in requests) if upload else ():
        if isinstance(tar, Path) and tar not in sources:
            sources[tar] = await _upload(queue, tar)
    start = not_before if isinstance(not_before, datetime) else None
    if isinstance(not_before, timedelta):
        start = datetime.now(UTC) + not_before
    return await queue.enqueue_many(
        [
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
    )


async def _upload(queue: RemoteQueue, path: Path) -> str:
    if path == STANDARD_INPUT:
        source: UploadSource = StreamSource("standard input", sys.stdin.buffer)
    else:
        source = FileSource(path)
    view = _ProgressLine(source.name)
    try:
        return await queue.upload(source, view.show)
    finally:
        view.clear()


class _ProgressLine:
    """How far an upload is, on a terminal alone."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown = ""
        self._on_terminal = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"

    def show(self, done: int, total: int | None) -> None:
        if not self._on_terminal:
            return
        of = f" of {size(total)}, {done * 100 // total} %" if total else ""
        line = f"uploading {self._name}: {size(done)}{of}"
        if line != self._shown:
            self._shown = line
            typer.echo(f"\r{line}\x1b[K", nl=False, err=True)

    def clear(self) -> None:
        if self._shown:
            typer.echo("\r\x1b[K", nl=False, err=True)


def _as_json(job: PushJob, start: datetime | None, *, with_attempts: bool) -> dict[str, Any]:
    """As the API has it; without a number of attempts the server's setting counts."""
    known = set(PushRequest.model_fields) - (set() if with_attempts else {"max_attempts"})
    fields = job.model_dump(mode="json", exclude_none=True, include=known)
    if start:
        fields["not_before"] = start.isoformat()
    return fields
