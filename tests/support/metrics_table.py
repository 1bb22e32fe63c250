"""The tables of docs/reference/metrics.md, made from the metrics that there are.

`python -m tests.support.metrics_table` writes them anew.
"""

import re
from collections.abc import Iterable
from typing import Protocol

from producer.api.metrics.families import FAMILIES
from tests.support.servers import REPOSITORY_ROOT
from worker.metrics.specs import SPECS

DOCUMENT = REPOSITORY_ROOT / "docs" / "reference" / "metrics.md"


class Described(Protocol):
    """What is known of a metric."""

    @property
    def name(self) -> str: ...
    @property
    def kind(self) -> str: ...
    @property
    def labels(self) -> tuple[str, ...]: ...
    @property
    def help(self) -> str: ...


TABLES: dict[str, Iterable[Described]] = {"queue": FAMILIES, "worker": SPECS}


def table(metrics: Iterable[Described]) -> str:
    rows = [
        f"| `{one.name}` | {one.kind} | {', '.join(f'`{label}`' for label in one.labels)} "
        f"| {one.help} |"
        for one in metrics
    ]
    return "\n".join(["| metric | type | labels | |", "|-|-|-|-|", *rows])


def written(text: str) -> str:
    """The document with all tables as they should be."""
    for name, metrics in TABLES.items():
        new = f"<!-- {name} -->\n{table(metrics)}\n<!-- end -->"
        old = re.search(rf"<!-- {name} -->\n.*?<!-- end -->", text, re.DOTALL)
        assert old, name
        text = text.replace(old[0], new)
    return text


if __name__ == "__main__":
    DOCUMENT.write_text(written(DOCUMENT.read_text()))
