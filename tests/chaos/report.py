"""A chaos run and its outcome, as tables; with details of what went wrong."""

import re
from collections import Counter
from collections.abc import Iterable

from rich import box
from rich.console import Console
from rich.table import Table

from tests.chaos.evidence import Evidence
from tests.chaos.invariants import RULE_NAMES, Violation
from tests.chaos.plan import Fault, NetworkFault

MOST_SHOWN = 8
LOG_ENTRIES = 15
ENTRY = re.compile(r"\n(?=\d{4}-\d\d-\d\d )")
"""What parts two entries of a log. A traceback belongs to the entry before it."""


def print_report(console: Console, evidence: Evidence, found: list[Violation]) -> None:
    plan = evidence.plan
    console.print(
        f"{plan.count} jobs in {evidence.seconds:.1f} s; again: "
        f"make chaos SEED={plan.seed} JOBS={plan.count}"
    )
    planned = Counter(strike.fault for strike in plan.strikes)
    network = Counter(strike.fault for strike in plan.network_strikes)
    print_table(
        console,
        ("fault", "planned", "struck"),
        [
            *((fault, planned[fault], evidence.struck[fault]) for fault in Fault),
            *((fault, network[fault], evidence.proxy.struck[fault]) for fault in NetworkFault),
        ],
    )
    print_table(console, ("outcome", "count"), outcomes(evidence))
    print_table(
        console,
        ("what must not be", "count"),
        [(rule, sum(violation.rule == rule for violation in found)) for rule in RULE_NAMES],
    )
    for violation in found[:MOST_SHOWN]:
        print_violation(console, evidence, violation)
    if len(found) > MOST_SHOWN:
        console.print(f"… and {len(found) - MOST_SHOWN} more")


def outcomes(evidence: Evidence) -> list[tuple[str, int]]:
    states = Counter(f"jobs {status.state}" for status in evidence.statuses.values())
    attempts = [attempt for each in evidence.attempts.values() for attempt in each]
    ends = Counter(f"attempts {attempt.outcome}" for attempt in attempts)
    used = Counter(len(each) for each in evidence.attempts.values())
    return [
        *sorted(states.items()),
        *sorted(ends.items()),
        *((f"jobs with {number} attempts", count) for number, count in sorted(used.items())),
        ("worker processes", len(evidence.fleet.all)),
        ("requests", len(evidence.proxy.requests)),
        ("MB sent", evidence.proxy.bytes_sent() // 1_000_000),
    ]


def print_violation(console: Console, evidence: Evidence, violation: Violation) -> None:
    console.rule(f"{violation.rule}: {violation.job_id or ''} {violation.text}", align="left")
    lines = []
    workers = {violation.worker: ""} if violation.worker else {}
    if status := evidence.statuses.get(violation.job_id or ""):
        attempts = evidence.attempts[status.id]
        lines += [status.model_dump_json(exclude_defaults=True)]
        lines += [attempt.model_dump_json(exclude_none=True) for attempt in attempts]
        workers |= {evidence.fleet.name_of(attempt.worker): status.id for attempt in attempts}
    for worker, word in workers.items():
        lines += [f"{worker}:", *(f"    {line}" for line in log_of(evidence, worker, word))]
    console.print("\n".join(lines), markup=False, highlight=False, soft_wrap=True)


def log_of(evidence: Evidence, name: str, word: str) -> list[str]:
    """The worker's last entries with the word in them, line by line."""
    logs = (worker.process.log for worker in evidence.fleet.all if worker.name == name)
    entries = [entry for log in logs for entry in ENTRY.split(log) if word in entry]
    return [line for entry in entries[-LOG_ENTRIES:] for line in entry.splitlines()]


def print_table(
    console: Console, headings: tuple[str, ...], rows: Iterable[tuple[object, ...]]
) -> None:
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False)
    for number, heading in enumerate(headings):
        table.add_column(heading, justify="right" if number else "left")
    for row in rows:
        table.add_row(*map(str, row))
    console.print(table)
