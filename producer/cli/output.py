"""What goes to standard output: a job in full, and JSON.

``--json`` is stable: fields are added, never renamed or removed. A job is an object with the
fields of :class:`push_queue.models.job_status.JobStatus`; times are ISO 8601 in UTC, and what is
not known is ``null``.
``status`` adds ``blobs`` and ``attempts``. ``enqueue`` and ``list`` write an array, and so do the
other commands for several jobs; ``watch`` writes one object a line.
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from json import dumps
from textwrap import indent
from typing import Any

import typer

from producer.cli.wording import STATE_COLORS, duration, headline, moment, printable, progress, sent
from push_queue.models.job_status import Attempt, BlobStatus, JobStatus
from push_queue.models.source_urls import shown

LABEL_WIDTH = 10


def as_json(job: JobStatus) -> dict[str, Any]:
    """A job's stable JSON object."""
    return job.model_dump(mode="json")


def print_json(value: object, *, indent: int | None = 2) -> None:
    typer.echo(dumps(value, indent=indent, ensure_ascii=False))


@contextmanager
def printing(*, json: bool) -> Iterator[Callable[[JobStatus], None]]:
    """Prints jobs as they come, however many there are: a line each, or an array of them."""
    if not json:
        yield lambda job: typer.echo(f"{job.id} {headline(job)}")
        return
    written = 0

    def add(job: JobStatus) -> None:
        nonlocal written
        text = indent(dumps(as_json(job), indent=2, ensure_ascii=False), "  ")
        typer.echo(f"{',' if written else '['}\n{text}", nl=False)
        written += 1

    try:
        yield add
    finally:
        # Also where it breaks off, so that what was done can be read.
        typer.echo("\n]" if written else "[]")


def print_error(message: str) -> None:
    """Write one line to standard error, whatever the message contains."""
    typer.echo(f"push-queue: error: {' '.join(message.split())}", err=True)


def warn(message: str) -> None:
    """Write to standard error what the user should know."""
    typer.echo(f"push-queue: warning: {printable(message)}", err=True)


def print_notes(job: JobStatus) -> None:
    """Write to standard error what the push left out."""
    for note in job.notes:
        typer.echo(f"push-queue: note: {printable(note)}", err=True)


def print_job(job: JobStatus, blobs: Sequence[BlobStatus], attempts: Sequence[Attempt]) -> None:
    """Everything about a job, a label in front of each line."""
    sections = _sections(job, blobs, attempts)
    print_sections(sections, lambda label, line: _coloured(line, job, label))


def print_sections(
    sections: Iterable[tuple[str, Sequence[str]]],
    shown: Callable[[str, str], str] = lambda _, line: printable(line),
) -> None:
    """A label in front of each line; ``shown`` makes of label and line what is printed."""
    for label, lines in sections:
        for position, line in enumerate(lines):
            typer.echo(f"{label if not position else '':<{LABEL_WIDTH}}  {shown(label, line)}")


def _coloured(line: str, job: JobStatus, label: str) -> str:
    """The line, with the state that it may begin with in colour."""
    if label != "State":
        return printable(line)
    return coloured(job.state, STATE_COLORS[job.state]) + line.removeprefix(job.state)


def coloured(text: str, color: str) -> str:
    """In colour on a terminal that has any, unless nobody wants that. https://no-color.org"""
    plain = os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb"
    return text if plain else typer.style(text, fg=color)


def _sections(
    job: JobStatus, blobs: Sequence[BlobStatus], attempts: Sequence[Attempt]
) -> Iterable[tuple[str, list[str]]]:
    results = {result.target: result.digest or result.outcome for result in job.results}
    yield "Job", [job.id]
    yield "State", [headline(job)]
    chosen = ", ".join(filter(None, (job.image, job.platform)))
    source = shown(job.source)
    yield "Source", [f"{source} ({chosen})" if chosen else source]
    yield "Cleanup", [job.cleanup_outcome] if job.cleanup_outcome else []
    yield "Targets", [f"{target}  {results.get(target, '')}".rstrip() for target in job.targets]
    yield "Priority", [job.priority] if job.priority != "normal" else []
    yield "Notes", list(job.notes)
    yield "Labels", [f"{name}={value}" for name, value in job.labels.items()]
    yield "Progress", [line] if (line := progress(job)) else []
    yield "Sent", [line] if (line := sent(job)) else []
    yield "Blobs", [_blob_line(blob) for blob in blobs]
    yield "Enqueued", [moment(job.enqueued_at)]
    yield "By", list(_callers(job))
    if job.started_at:
        ran = duration(job.started_at, job.finished_at or datetime.now(UTC))
        yield "Started", [f"{moment(job.started_at)}, {ran}"]
    if job.next_attempt_at:
        yield "Next try" if job.attempt else "Starts", [moment(job.next_attempt_at)]
    yield "Attempts", [_attempt_line(attempt) for attempt in attempts]


def _callers(job: JobStatus) -> Iterator[str]:
    """Who asked for what, as far as the HTTP API knew the callers."""
    asked = {
        "enqueued": job.enqueued_by,
        "retried": job.retried_by,
        "cancelled": job.cancelled_by,
    }
    return (f"{caller} ({what})" for what, caller in asked.items() if caller)


def _blob_line(blob: BlobStatus) -> str:
    state = blob.how or f"{blob.done} of"
    return f"{blob.digest}  {state} {blob.size} bytes"


def _attempt_line(attempt: Attempt) -> str:
    took = duration(attempt.started_at, attempt.finished_at)
    line = f"{attempt.number}  {attempt.outcome} after {took} on {attempt.worker}"
    return f"{line}: {attempt.error} ({attempt.error_kind})" if attempt.error else line
