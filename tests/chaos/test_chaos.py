"""The short form of `make chaos`: every kind of fault, few jobs."""

from pathlib import Path

import pytest
from rich.console import Console

from tests.chaos.invariants import violations
from tests.chaos.plan import Fault, NetworkFault, Plan
from tests.chaos.report import print_report
from tests.chaos.run import run_chaos

SEED = 1
JOBS = 30

IF_IN_TIME = {Fault.TAG_PAUSED, Fault.TAG_KILLED, Fault.TAG_CUT}
"""Of few jobs none may write a tag when these are due; `test_late_tag_writes` has them all."""


@pytest.mark.integration
@pytest.mark.timeout(900)
async def test_nothing_is_lost_in_chaos(tmp_path: Path) -> None:
    evidence = await run_chaos(Plan(SEED, JOBS), tmp_path)
    found = violations(evidence)
    print_report(Console(width=120), evidence, found)
    assert found == []
    assert set(evidence.struck) | IF_IN_TIME == set(Fault)
    assert set(evidence.proxy.struck) == set(NetworkFault)


def test_a_plan_is_made_from_its_seed_alone() -> None:
    one, same, other = Plan(1, JOBS), Plan(1, JOBS), Plan(2, JOBS)
    for drawn in ("jobs", "strikes", "network_strikes"):
        assert getattr(one, drawn) == getattr(same, drawn) != getattr(other, drawn)


@pytest.mark.parametrize("count", [JOBS, 300])
def test_every_fault_is_planned(count: int) -> None:
    plan = Plan(SEED, count)
    assert {strike.fault for strike in plan.strikes} == set(Fault)
    assert {strike.fault for strike in plan.network_strikes} == set(NetworkFault)
