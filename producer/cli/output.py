"""What goes to standard output: tables, a job in full, and JSON.

``--json`` is stable: fields are added, never renamed or removed. A job is an object with the
fields of :class:`push_queue.JobStatus`; times are ISO 8601 in UTC, unknown values ``null``.
``status`` adds ``blobs`` and ``attempts``. ``enqueue`` and ``list`` write an array, and so do the
other commands for several jobs; ``watch`` writes one object a line.
"""

import json
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from producer.cli.wording import STATE_COLORS, duration, headline, moment, percent, progress
from push_queue import Attempt, BlobStatus, JobStatus

COLUMNS = ("JOB", "STATE", "DONE", "ATTEMPT", "ENQUEUED", "TARGETS", "SOURCE")
FOLDED = ("TARGETS", "SOURCE")
DISPENSABLE = ("SOURCE", "ENQUEUED", "ATTEMPT", "DONE")
"""Columns that go first where a terminal is too narrow for all; ids and targets stay whole."""
GAP = 2
LABEL_WIDTH = 10


def as_json(job: JobStatus) -> dict[str, Any]:
    """A job's stable JSON object."""
    return job.model_dump(mode="json")


def print_json(value: object, *, indent: int | None = 2) -> None:
    typer.echo(json.dumps(value, indent=indent, ensure_ascii=False))


def print_error(message: str) -> None:
    """One line to standard error, whatever was in the message."""
    typer.echo(f"push-queue: error: {' '.join(message.split())}", err=True)


def print_notes(job: JobStatus) -> None:
    """To standard error: what the push left out."""
    for note in job.notes:
        typer.echo(f"push-queue: note: {note}", err=True)


def print_table(jobs: Sequence[JobStatus]) -> None:
    """A table on a terminal, tab-separated lines elsewhere."""
    console = Console()
    if not console.is_terminal:
        for line in (COLUMNS, *map(_row, jobs)):
            typer.echo("\t".join(line))
        return
    rows = [dict(zip(COLUMNS, _row(job), strict=True)) for job in jobs]
    names = _fitting(rows, console.width)
    # References and paths are folded rather than cut short: they are there to be copied.
    columns = [Column(name, no_wrap=name not in FOLDED, overflow="fold") for name in names]
    table = Table(*columns, box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for job, row in zip(jobs, rows, strict=True):
        # Text, since square brackets in a path are no markup.
        cells = {name: Text(row[name]) for name in names}
        cells["STATE"].stylize(STATE_COLORS[job.state])
        table.add_row(*cells.values())
    console.print(table)


def _fitting(rows: Sequence[Mapping[str, str]], width: int) -> list[str]:
    """The columns that a terminal of this width has room for, ids and targets at least."""
    names = list(COLUMNS)
    for dispensable in DISPENSABLE:
        if _width(rows, names) <= width:
            break
        names.remove(dispensable)
    return names


def _width(rows: Sequence[Mapping[str, str]], names: Sequence[str]) -> int:
    return sum(GAP + max(map(len, (name, *(row[name] for row in rows)))) for name in names) - GAP


def print_job(job: JobStatus, blobs: Sequence[BlobStatus], attempts: Sequence[Attempt]) -> None:
    """Everything about a job, a label in front of each line."""
    for label, lines in _sections(job, blobs, attempts):
        for position, line in enumerate(lines):
            typer.echo(f"{label if not position else '':<{LABEL_WIDTH}}  {line}")


def _row(job: JobStatus) -> tuple[str, ...]:
    return (
        job.id,
        job.state,
        percent(job),
        f"{job.attempt}/{job.max_attempts}",
        moment(job.enqueued_at),
        ", ".join(job.targets),
        job.source,
    )


def _sections(
    job: JobStatus, blobs: Sequence[BlobStatus], attempts: Sequence[Attempt]
) -> Iterable[tuple[str, list[str]]]:
    state, colon, detail = headline(job).partition(":")
    results = {result.target: result.digest or result.outcome for result in job.results}
    yield "Job", [job.id]
    yield "State", [typer.style(state, fg=STATE_COLORS[job.state]) + colon + detail]
    chosen = ", ".join(filter(None, (job.image, job.platform)))
    yield "Source", [f"{job.source} ({chosen})" if chosen else job.source]
    yield "Cleanup", [job.cleanup_outcome] if job.cleanup_outcome else []
    yield "Targets", [f"{target}  {results.get(target, '')}".rstrip() for target in job.targets]
    yield "Priority", [job.priority] if job.priority != "normal" else []
    yield "Notes", list(job.notes)
    yield "Labels", [f"{name}={value}" for name, value in job.labels.items()]
    yield "Progress", [line] if (line := progress(job)) else []
    yield "Blobs", [_blob_line(blob) for blob in blobs]
    yield "Enqueued", [moment(job.enqueued_at)]
    if job.started_at:
        ran = duration(job.started_at, job.finished_at or datetime.now(UTC))
        yield "Started", [f"{moment(job.started_at)}, {ran}"]
    if job.next_attempt_at:
        yield "Next try" if job.attempt else "Starts", [moment(job.next_attempt_at)]
    yield "Attempts", [_attempt_line(attempt) for attempt in attempts]


def _blob_line(blob: BlobStatus) -> str:
    state = blob.how or f"{blob.done} of"
    return f"{blob.digest}  {state} {blob.size} bytes"


def _attempt_line(attempt: Attempt) -> str:
    took = duration(attempt.started_at, attempt.finished_at)
    line = f"{attempt.number}  {attempt.outcome} after {took} on {attempt.worker}"
    return f"{line}: {attempt.error} ({attempt.error_kind})" if attempt.error else line
