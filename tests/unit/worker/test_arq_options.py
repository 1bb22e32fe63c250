"""What a worker says about its settings when it starts."""

import pytest

from push_queue.settings import Settings
from worker.arq_options import lease_doubts


@pytest.mark.parametrize(("seconds", "doubted"), [(1, True), (4, True), (5, False), (15, False)])
def test_a_lease_that_is_too_short_is_doubted(seconds: int, doubted: bool) -> None:
    doubts = lease_doubts(Settings(lease_seconds=seconds))
    assert bool(doubts) is doubted
    for doubt in doubts:
        assert doubt.startswith(f"PUSH_QUEUE_LEASE_SECONDS={seconds}: a worker that hangs")
