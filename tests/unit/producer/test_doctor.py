"""What the doctor makes of what it sees, where no server is needed for that."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import ByteSize

from producer import PushQueue
from producer.doctor import fleet, machine, webhooks
from producer.doctor.finding import Finding, Severity, problem, warning
from producer.operator import Operator
from push_queue.models.fleet import WorkerInfo
from push_queue.models.job import make_job
from push_queue.models.job_status import JobState
from push_queue.pauses import Pauses
from push_queue.settings import Settings
from push_queue.version import own_version
from push_queue.webhook_outbox import WebhookOutbox, WebhookStatus
from push_queue.worker_roster import WorkerRoster
from tests.support.stores import Stores


def receiver(**values: Any) -> WebhookStatus:
    known = {"name": "ci", "origin": "https://ci", "states": "failed", "waiting": 0}
    return WebhookStatus.model_validate({**known, "waiting_since": None, **values})


def lossy(*, hours: int) -> WebhookStatus:
    """A receiver that lost its last event some hours ago."""
    lost_at = datetime.now(UTC) - timedelta(hours=hours)
    return receiver(delivered=7, given_up=1, dropped=2, last_lost_at=lost_at)


@pytest.mark.parametrize(
    ("status", "severity", "text"),
    [
        (receiver(delivered=3), Severity.OK, "3 events arrived at https://ci"),
        (receiver(waiting=2), Severity.OK, "0 events arrived"),
        (
            receiver(waiting=2, last_failure="500", last_failure_at=datetime.now(UTC)),
            Severity.WARNING,
            "2 events wait",
        ),
        (receiver(gone=True, waiting=2), Severity.WARNING, "wants no more"),
        (lossy(hours=23), Severity.WARNING, "3 events never arrived at https://ci, the last in"),
        (lossy(hours=25), Severity.OK, "7 events arrived at https://ci; 3 never did"),
    ],
)
async def test_webhooks(
    queue: PushQueue,
    monkeypatch: pytest.MonkeyPatch,
    status: WebhookStatus,
    severity: Severity,
    text: str,
) -> None:
    async def statuses(_: WebhookOutbox) -> tuple[WebhookStatus, ...]:
        return (status,)

    assert status.states == (JobState.FAILED,)
    monkeypatch.setattr(WebhookOutbox, "statuses", statuses)
    (finding,) = [finding async for finding in webhooks.check(queue)]
    assert (finding.subject, finding.severity) == ("webhook ci", severity)
    assert text in finding.text
    assert ("webhooks --test ci" in finding.advice) == (severity is not Severity.OK)


@pytest.mark.parametrize("url", ["s3://bucket/", "gs://bucket/", "az://container/"])
def test_a_bucket_needs_what_reads_it(monkeypatch: pytest.MonkeyPatch, url: str) -> None:
    settings = Settings(source_urls=(url,))
    assert list(machine.check(settings)) == []
    monkeypatch.setattr(machine, "find_spec", lambda _: None)
    (finding,) = machine.check(settings)
    assert finding.severity is Severity.PROBLEM
    assert "`stores`" in finding.advice
    assert list(machine.check(Settings(source_urls=("https://example.com/",)))) == []


@pytest.mark.parametrize(("quota", "severity"), [(1, Severity.OK), (10**18, Severity.WARNING)])
def test_a_spool_has_room_for_its_quota(tmp_path: Path, quota: int, severity: Severity) -> None:
    settings = Settings(spool=tmp_path, spool_quota=ByteSize(quota), spool_keep_free=ByteSize(1))
    (finding,) = machine.check(settings)
    assert finding.severity is severity
    assert list(tmp_path.iterdir()) == []


async def found_of_the_fleet(queue: PushQueue) -> list[Finding]:
    return [finding async for finding in fleet.check(Operator(queue))]


async def test_a_registry_that_a_person_has_paused(queue: PushQueue, stores: Stores) -> None:
    await Pauses(stores.database).pause("reg.example.com", reason="수리 중")
    await stores.limits.pause("reg.example.com", "is down")
    *_, found = await found_of_the_fleet(queue)
    text, advice = (
        "it is paused: 수리 중; 0 jobs wait",
        "push-queue registries resume reg.example.com",
    )
    assert found == warning("reg.example.com", text, advice)


async def test_workers_that_are_all_drained(queue: PushQueue, stores: Stores) -> None:
    roster = WorkerRoster(stores.database)
    for worker_id in ("one", "two"):
        worker = WorkerInfo(
            id=worker_id,
            host="h",
            pid=1,
            version=own_version(),
            started_at=datetime.now(UTC),
            max_jobs=2,
            heeds=True,
        )
        await roster.report(worker, 15)
    await stores.jobs.create(make_job(id="a", source="/a.tar", targets=["reg.example.com/app:1"]))
    await roster.drain("one")
    (found,) = await found_of_the_fleet(queue)
    assert found.severity is Severity.OK
    await roster.drain("two")
    text = "all are being drained, and 1 job waits"
    assert await found_of_the_fleet(queue) == [problem("workers", text, "start push-worker")]
