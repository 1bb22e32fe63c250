"""The tables of the metrics."""

from collections.abc import Iterable
from typing import Protocol

from producer.api.metrics.families import FAMILIES
from scripts.reference.markdown import code, table
from worker.metrics.specs import SPECS


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


def queue() -> str:
    """Those that each server has, of the whole queue."""
    return _table(FAMILIES)


def worker() -> str:
    """Those of one worker."""
    return _table(SPECS)


def _table(metrics: Iterable[Described]) -> str:
    return table(
        ("metric", "type", "labels", "what it says"),
        ((code(one.name), one.kind, ", ".join(map(code, one.labels)), one.help) for one in metrics),
    )
