"""What the doctor makes of what it sees, where no server is needed for that."""

from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import ByteSize

from producer import PushQueue
from producer.doctor import machine, webhooks
from producer.doctor.finding import Severity
from push_queue.models.job import JobState
from push_queue.settings import Settings
from push_queue.webhook_outbox import WebhookOutbox, WebhookStatus


def receiver(**values: Any) -> WebhookStatus:
    known = {"name": "ci", "origin": "https://ci", "states": "failed", "waiting": 0}
    return WebhookStatus.model_validate({**known, "waiting_since": None, **values})


@pytest.mark.parametrize(
    ("status", "severity", "text"),
    [
        (receiver(delivered=3), Severity.OK, "3 events have arrived at https://ci"),
        (receiver(waiting=2), Severity.OK, "0 events have arrived"),
        (
            receiver(waiting=2, last_failure="500", last_failure_at=datetime.now(UTC)),
            Severity.WARNING,
            "2 events wait",
        ),
        (receiver(gone=True, waiting=2), Severity.WARNING, "wants no more"),
        (receiver(given_up=1, dropped=2), Severity.WARNING, "3 events never arrived"),
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
