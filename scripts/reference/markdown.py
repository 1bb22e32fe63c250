"""Markdown that reads well as text, too."""

import re
from collections.abc import Iterable, Sequence

from push_queue.docstrings import as_markdown

_MARKED = re.compile(r"(`[^`]*`|\]\([^)]*\))")
"""What stands for itself: code, and where links lead."""
_NAME = re.compile(
    r"[~/\w.]*/\w[\w./-]*\bPUSH_QUEUE_\w+|\b[A-Z]+_[A-Z_]+\b|(?<![\w-])--[a-z][a-z-]+\b|\b[a-z]+_[a-z_]+\b"
)
"""Settings, options and fields, which help texts name as they are."""


def table(titles: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A table whose columns line up; the last one is as wide as it needs to be."""
    cells = [[cell.replace("|", r"\|") for cell in row] for row in rows]
    widths = [
        max(len(title), *(len(row[column]) for row in cells)) if cells else len(title)
        for column, title in enumerate(titles[:-1])
    ]
    lines = [titles, ["-" * width for width in widths] + ["-"], *cells]
    return "\n".join(_line(line, widths) for line in lines)


def _line(cells: Sequence[str], widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) for cell, width in zip(cells, widths, strict=False)]
    return f"| {' | '.join([*padded, cells[-1]])} |".replace("|  |", "| |")


def code(text: str) -> str:
    """A name or value as code; nothing stays nothing."""
    return f"`{text}`" if text else ""


def block(text: str, language: str = "text") -> str:
    """Lines as they are."""
    return f"```{language}\n{text}\n```"


def prose(text: str) -> str:
    """A help text or docstring on one line: names are code, and nothing else is markup."""
    parts = _MARKED.split(as_markdown(text).replace("\n\n", " "))
    parts[::2] = [_marked_up(part) for part in parts[::2]]
    return "".join(parts)


def paragraphs(text: str) -> str:
    """The same for several paragraphs."""
    return "\n\n".join(prose(part) for part in re.split(r"\n\s*\n", text.strip()))


def _marked_up(text: str) -> str:
    text = _NAME.sub(lambda found: f"`{found[0]}`", text)
    around = re.split(r"(`[^`]*`)", text)
    around[::2] = [re.sub(r"([*<>])", r"\\\1", part) for part in around[::2]]
    return "".join(around)
