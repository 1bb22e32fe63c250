"""What whoever runs the queue does with it, where it differs from what the stores do."""

from datetime import UTC, datetime

import pytest

from producer import PushQueue
from producer.operator import Operator, registry_named
from push_queue.models.fleet import WorkerInfo, WorkerState
from push_queue.worker_roster import WorkerRoster
from tests.support.stores import Stores


@pytest.mark.parametrize(
    ("host", "name"),
    [
        ("reg.example.com:5000", "reg.example.com:5000"),
        ("REG.example.com", "reg.example.com"),
        ("localhost", "localhost"),
        ("docker.io", "docker.io"),
        ("index.docker.io", "docker.io"),
    ],
)
def test_a_registry_is_named_as_in_references(host: str, name: str) -> None:
    assert registry_named(host) == name


async def test_a_worker_that_ends_as_soon_as_it_is_drained_was_drained(
    queue: PushQueue, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An idle one may."""
    idle = WorkerInfo(
        id="idle", host="h", pid=1, version="1", started_at=datetime.now(UTC), heeds=True
    )
    await WorkerRoster(stores.database).report(idle, 15)
    drain = WorkerRoster.drain

    async def drain_and_end(roster: WorkerRoster, worker_id: str, *, by: str | None = None) -> None:
        await drain(roster, worker_id, by=by)
        await roster.remove(worker_id)

    monkeypatch.setattr(WorkerRoster, "drain", drain_and_end)
    assert (await Operator(queue).drain("idle")).state is WorkerState.DRAINING
