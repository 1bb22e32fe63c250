"""Jobs, one a row."""

from collections.abc import Mapping, Sequence

from rich.table import Column, Table
from rich.text import Text

from producer.cli.tables import GAP, plain_table, print_rows
from producer.cli.wording import STATE_COLORS, moment, percent
from push_queue.models import JobStatus

COLUMNS = ("JOB", "STATE", "DONE", "ATTEMPT", "ENQUEUED", "TARGETS", "SOURCE")
FOLDED = ("TARGETS", "SOURCE")
DISPENSABLE = ("SOURCE", "ENQUEUED", "ATTEMPT", "DONE")
"""Columns that go first where a terminal is too narrow for all; ids and targets stay whole."""


def print_table(jobs: Sequence[JobStatus]) -> None:
    """A table on a terminal, tab-separated lines elsewhere."""
    print_rows(COLUMNS, map(_row, jobs), lambda width: _table(jobs, width))


def _table(jobs: Sequence[JobStatus], width: int) -> Table:
    rows = [dict(zip(COLUMNS, _row(job), strict=True)) for job in jobs]
    names = _fitting(rows, width)
    # References and paths are folded rather than cut short: they are there to be copied.
    table = plain_table(Column(name, no_wrap=name not in FOLDED, overflow="fold") for name in names)
    for job, row in zip(jobs, rows, strict=True):
        # Text, since square brackets in a path are no markup.
        cells = {name: Text(row[name]) for name in names}
        cells["STATE"].stylize(STATE_COLORS[job.state])
        table.add_row(*cells.values())
    return table


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
