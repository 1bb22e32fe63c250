"""A result as JSON, to be kept and compared."""

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import Any

from ..model import OURS, Result, Row
from .machine import Machine


@dataclass(frozen=True)
class Session:
    """What was measured when, where and how."""

    started_at: datetime
    machine: Machine
    quick: bool
    """Whether sizes were smaller than the full ones."""
    runs: int


def write_document(path: Path, session: Session, results: Sequence[Result]) -> None:
    """Write every value of every run, and the table's rows."""
    document = {
        "started_at": session.started_at.isoformat(timespec="seconds"),
        "machine": asdict(session.machine),
        "quick": session.quick,
        "runs": session.runs,
        "benchmarks": [_benchmark(result) for result in results],
    }
    path.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n")


def _benchmark(result: Result) -> dict[str, Any]:
    return {
        "name": result.benchmark.name,
        "title": result.benchmark.title,
        "skipped": result.skipped,
        "failures": result.failures,
        "samples": result.samples,
        "comparisons": [_row(row) for row in result.rows()],
    }


def _row(row: Row) -> dict[str, Any]:
    comparison = row.comparison
    return {
        "measure": comparison.measure.name,
        "unit": comparison.measure.unit,
        OURS: median(row.ours) if row.ours else None,
        "peer": comparison.peer,
        "peer_value": median(row.theirs) if row.theirs else None,
        "ratio": row.ratio,
        "reach": str(comparison.reach) if comparison.reach else None,
        "reached": row.reached,
    }
