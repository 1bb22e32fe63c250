"""Jobs, one a row."""

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Column
from rich.text import Text

from producer.cli.tables import GAP, Row, fitting, plain_table, print_rows, table_width
from producer.cli.wording import STATE_COLORS, moment, percent, printable
from push_queue.models.job_status import JobState, JobStatus
from push_queue.models.source_urls import shown

COLUMNS = ("JOB", "STATE", "DONE", "ATTEMPT", "ENQUEUED", "TARGETS", "SOURCE")
DISPENSABLE = ("SOURCE", "ENQUEUED", "ATTEMPT", "DONE")
"""Columns that go first where a terminal is too narrow for all; ids and targets stay whole."""


def print_table(jobs: Sequence[JobStatus]) -> None:
    """A table on a terminal, tab-separated lines elsewhere."""
    print_rows(
        COLUMNS,
        (_row(job, between_targets=", ").values() for job in jobs),
        lambda width: _table(jobs, width),
    )


def _table(jobs: Sequence[JobStatus], width: int) -> RenderableType:
    # One target a line, and none broken, so that they can be copied.
    rows = [_row(job, between_targets="\n") for job in jobs]
    names = fitting(COLUMNS, rows, DISPENSABLE, width)
    if table_width(names, rows) > width:
        return Group(*map(_stacked, rows))
    table = plain_table(Column(name, no_wrap=True) for name in names)
    for row in rows:
        # Text, since square brackets in a path are no markup.
        table.add_row(*(_state(row) if name == "STATE" else Text(row[name]) for name in names))
    return table


def _stacked(row: Row) -> Text:
    """A job in lines of their own; the terminal breaks those that are too long for it."""
    lines = Text(no_wrap=True, overflow="ignore")
    lines.append_text(Text.assemble(row["JOB"], " " * GAP, _state(row)))
    for target in row["TARGETS"].split("\n"):
        lines.append(f"\n{' ' * GAP}{target}")
    return lines


def _state(row: Row) -> Text:
    return Text(row["STATE"], STATE_COLORS[JobState(row["STATE"])])


def _row(job: JobStatus, *, between_targets: str) -> Row:
    cells = (
        job.id,
        job.state,
        percent(job),
        f"{job.attempt}/{job.max_attempts}",
        moment(job.enqueued_at),
        between_targets.join(job.targets),
        printable(shown(job.source)),
    )
    return dict(zip(COLUMNS, cells, strict=True))
