"""Tables: drawn on a terminal, tab-separated lines elsewhere."""

from collections.abc import Callable, Iterable, Mapping, Sequence

import typer
from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.table import Column, Table
from rich.text import Text

GAP = 2
"""Between two columns."""

Row = Mapping[str, str]
"""The cells, by the names of their columns."""


def print_rows(
    headings: Iterable[str], rows: Iterable[Iterable[str]], draw: Callable[[int], RenderableType]
) -> None:
    """``draw`` makes the table for a terminal of that many columns; it is printed uncut."""
    console = Console()
    if console.is_terminal:
        console.print(draw(console.width), crop=False)
        return
    for row in (headings, *rows):
        typer.echo("\t".join(row))


def print_table(
    names: Sequence[str],
    dispensable: Sequence[str],
    rows: Sequence[Row],
    colours: Mapping[str, str] = {},
) -> None:
    """A table with as many of the columns as the terminal has room for.

    Where it has too little for the rest, cells behind the first are broken over several lines.
    Elsewhere the lines have all columns. ``colours`` are those of whole cells.
    """

    def draw(width: int) -> RenderableType:
        left = fitting(names, rows, dispensable, width)
        table = plain_table(
            Column(name, overflow="fold", no_wrap=name == names[0]) for name in left
        )
        for row in rows:
            # Text, since square brackets in a name are no markup.
            cells = (row[name] for name in left)
            table.add_row(*(Text(cell, colours.get(cell, "")) for cell in cells))
        return table

    print_rows(names, (row.values() for row in rows), draw)


def plain_table(columns: Iterable[Column]) -> Table:
    """Without lines."""
    return Table(*columns, box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")


def fitting(
    names: Sequence[str], rows: Sequence[Row], dispensable: Sequence[str], width: int
) -> list[str]:
    """The columns that a terminal of this width has room for, or those that are not dispensable.

    The first of those that are go first.
    """
    left = list(names)
    for name in dispensable:
        if table_width(left, rows) <= width:
            break
        left.remove(name)
    return left


def table_width(names: Sequence[str], rows: Sequence[Row]) -> int:
    """The width of a plain table of these columns."""
    return sum(GAP + max(map(_cells, (name, *(row[name] for row in rows)))) for name in names) - GAP


def _cells(text: str) -> int:
    return max(map(cell_len, text.split("\n")))
