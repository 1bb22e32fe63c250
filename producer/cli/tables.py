"""Tables: drawn on a terminal, tab-separated lines elsewhere."""

from collections.abc import Callable, Iterable

import typer
from rich.console import Console, RenderableType
from rich.table import Column, Table

GAP = 2
"""Between two columns."""


def print_rows(
    headings: Iterable[str], rows: Iterable[Iterable[str]], draw: Callable[[int], RenderableType]
) -> None:
    """``draw`` makes what a terminal of so many columns shows; it is printed uncut."""
    console = Console()
    if console.is_terminal:
        console.print(draw(console.width), crop=False)
        return
    for row in (headings, *rows):
        typer.echo("\t".join(row))


def plain_table(columns: Iterable[Column]) -> Table:
    """Without lines."""
    return Table(*columns, box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
