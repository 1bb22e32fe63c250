"""Jobs, one a row."""

from collections.abc import Mapping, Sequence

import typer
from rich.console import Console
from rich.table import Column, Table
from rich.text import Text

from producer.cli.wording import STATE_COLORS, moment, percent
from push_queue.models import JobStatus

COLUMNS = ("JOB", "STATE", "DONE", "ATTEMPT", "ENQUEUED", "TARGETS", "SOURCE")
FOLDED = ("TARGETS", "SOURCE")
DISPENSABLE = ("SOURCE", "ENQUEUED", "ATTEMPT", "DONE")
"""Columns that go first where a terminal is too narrow for all; ids and targets stay whole."""
GAP = 2


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
