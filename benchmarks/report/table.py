"""The table at the end."""

from collections.abc import Sequence
from statistics import median

from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from ..model import OURS, Result, Row

_VERDICTS = {
    True: Text("reached", "green"),
    False: Text("missed", "bold red"),
    None: Text(""),
}


def print_table(console: Console, results: Sequence[Result]) -> None:
    """One row for each comparison: medians, the range of the runs, ratio and goal."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for heading in ("benchmark", "measure", OURS, "peer", "its value"):
        table.add_column(heading)
    for heading in ("ratio", "reach"):
        table.add_column(heading, justify="right")
    table.add_column("")
    for result in results:
        _add_rows(table, result)
    console.print(table)
    for result in results:
        if result.skipped:
            console.print(f"{result.benchmark.name} skipped: {result.skipped}", style="yellow")
        for contender, reason in result.failures.items():
            console.print(f"{result.benchmark.name}: {contender} failed: {reason}", style="red")


def _add_rows(table: Table, result: Result) -> None:
    name = result.benchmark.name
    if result.skipped:
        table.add_row(name, "skipped", style="yellow")
    else:
        for row in result.rows():
            table.add_row(name, *_cells(row), _VERDICTS[row.reached])
            name = ""
    table.add_section()


def _cells(row: Row) -> tuple[str, ...]:
    measure, peer, reach = row.comparison.measure, row.comparison.peer, row.comparison.reach
    failures = row.result.failures
    return (
        f"{measure.name}, {measure.unit}",
        "failed" if OURS in failures else spread(row.ours),
        peer or "",
        "failed" if peer in failures else spread(row.theirs),
        "" if row.ratio is None else f"{row.ratio:.2f}x",
        "" if reach is None else str(reach),
    )


def spread(values: Sequence[float]) -> str:
    """The median, and what it lies between: ``3.1 (2.9-3.4)``."""
    if not values:
        return ""
    low, middle, high = (_digits(value) for value in (min(values), median(values), max(values)))
    between = f" ({low}–{high})" if low != high else ""  # noqa: RUF001 - a range
    return f"{middle}{between}"


def _digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 or value == int(value) else f"{value:.3g}"
