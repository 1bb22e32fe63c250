"""Jobs, one a row."""

from collections.abc import Mapping, Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.table import Column
from rich.text import Text

from producer.cli.tables import GAP, plain_table, print_rows
from producer.cli.wording import STATE_COLORS, moment, percent, printable
from push_queue.models import JobState, JobStatus

COLUMNS = ("JOB", "STATE", "DONE", "ATTEMPT", "ENQUEUED", "TARGETS", "SOURCE")
DISPENSABLE = ("SOURCE", "ENQUEUED", "ATTEMPT", "DONE")
"""Columns that go first where a terminal is too narrow for all; ids and targets stay whole."""

Row = Mapping[str, str]


def print_table(jobs: Sequence[JobStatus]) -> None:
    """A table on a terminal, tab-separated lines elsewhere."""
    print_rows(
        COLUMNS,
        (_row(job, between_targets=", ").values() for job in jobs),
        lambda width: _table(jobs, width),
    )


def _table(jobs: Sequence[JobStatus], width: int) -> RenderableType:
    # A target a line: they are there to be copied, and none is to be broken.
    rows = [_row(job, between_targets="\n") for job in jobs]
    names = _fitting(rows, width)
    if not names:
        return Group(*map(_stacked, rows))
    table = plain_table(Column(name, no_wrap=True) for name in names)
    for row in rows:
        # Text, since square brackets in a path are no markup.
        table.add_row(*(_state(row) if name == "STATE" else Text(row[name]) for name in names))
    return table


def _fitting(rows: Sequence[Row], width: int) -> list[str]:
    """The columns that a terminal of this width has room for; none if not for ids and targets."""
    names = list(COLUMNS)
    for dispensable in DISPENSABLE:
        if _width(rows, names) <= width:
            break
        names.remove(dispensable)
    return names if _width(rows, names) <= width else []


def _width(rows: Sequence[Row], names: Sequence[str]) -> int:
    return sum(GAP + max(map(_cells, (name, *(row[name] for row in rows)))) for name in names) - GAP


def _cells(text: str) -> int:
    return max(map(cell_len, text.split("\n")))


def _stacked(row: Row) -> Text:
    """A job in lines of their own; the terminal breaks those that are too long for it."""
    lines = Text(no_wrap=True, overflow="ignore")
    lines.append_text(Text.assemble(row["JOB"], " " * GAP, _state(row)))
    for target in row["TARGETS"].split("\n"):
        lines.append(f"\n{' ' * GAP}{target}")
    return lines


def _state(row: Row) -> Text:
    return Text(row["STATE"], STATE_COLORS[JobState(row["STATE"])])


def _row(job: JobStatus, *, between_targets: str) -> dict[str, str]:
    cells = (
        job.id,
        job.state,
        percent(job),
        f"{job.attempt}/{job.max_attempts}",
        moment(job.enqueued_at),
        between_targets.join(job.targets),
        printable(job.source),
    )
    return dict(zip(COLUMNS, cells, strict=True))
