"""Pause, resume and drain: what is answered, and who is named."""

import logging
from datetime import UTC, datetime
from typing import Any

import pytest

from producer import operator
from push_queue.models.fleet import WorkerInfo
from push_queue.settings import Settings
from push_queue.settings.api_tokens import Role
from push_queue.webhook_outbox import WebhookOutbox
from push_queue.worker_roster import WorkerRoster
from tests.support.api import Api
from tests.support.redis_client import Redis
from tests.support.stores import Stores
from tests.support.tokens import TOKENS, bearer, with_tokens
from tests.support.webhooks import answer_pings, webhook

ADMIN = bearer(TOKENS[Role.ADMIN])
V1 = "/api/v1"
HOST = "reg.example.com:5000"


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_tokens(settings)


async def report(stores: Stores, worker_id: str, *, heeds: bool = True) -> None:
    started = datetime(2026, 1, 31, tzinfo=UTC)
    worker = WorkerInfo(
        id=worker_id, host="h", pid=1, version="0.9", started_at=started, heeds=heeds
    )  # fmt: skip
    await WorkerRoster(stores.database).report(worker, 60)


async def test_the_queue_is_paused_and_resumed(api: Api, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.WARNING)
    body = {"seconds": 60, "reason": "새 디스크"}
    paused = await api.post(f"{V1}/queue/pause", json=body, headers=ADMIN)
    assert paused.status == 200
    pause = paused.body["pause"]
    assert (pause["by"], pause["reason"]) == ("team-admin", "새 디스크")
    read = bearer(TOKENS[Role.READ])
    assert (await api.get(f"{V1}/queue", headers=read)).body == paused.body
    assert (await api.get(f"{V1}/stats", headers=read)).body["pause"] == pause
    resumed = await api.post(f"{V1}/queue/resume", headers=ADMIN)
    assert (resumed.status, resumed.body) == (200, {"pause": None})
    assert caplog.messages == [
        "the queue is paused by team-admin",
        "the queue is resumed by team-admin",
    ]


async def test_a_registry_is_paused_and_resumed(api: Api) -> None:
    path = f"{V1}/registries/{HOST}"
    paused = await api.post(f"{path}/pause", json={}, headers=ADMIN)
    assert (paused.status, paused.body["name"]) == (200, HOST)
    assert paused.body["pause"]["until"] is None
    (listed,) = (await api.get(f"{V1}/registries", headers=ADMIN)).body["registries"]
    assert listed == paused.body
    resumed = await api.post(f"{path}/resume", headers=ADMIN)
    assert (resumed.status, resumed.body["pause"]) == (200, None)
    assert (await api.get(f"{V1}/registries", headers=ADMIN)).body["registries"] == []


@pytest.mark.parametrize(
    "host", ["a b", "*", "%E3%80%80", "reg.example.com:x", "-", "registry", "h%2Fa"]
)
@pytest.mark.parametrize("action", ["pause", "resume"])
async def test_what_is_no_registry_is_refused(api: Api, host: str, action: str) -> None:
    body: dict[str, Any] = {"json": {}} if action == "pause" else {}
    answer = await api.post(f"{V1}/registries/{host}/{action}", headers=ADMIN, **body)
    assert (answer.status, answer.kind) == (400, "invalid-request")


@pytest.mark.parametrize("path", ["queue/pause", f"registries/{HOST}/pause"])
@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({"seconds": 0}, "seconds"),
        ({"seconds": 10**12}, "seconds"),
        ({"seconds": "60"}, "seconds"),
        ({"reason": ""}, "reason"),
        ({"reason": "x" * 201}, "reason"),
        ({"until": "2026-01-31"}, "until"),
        ([], "body"),
    ],
)
async def test_a_pause_that_makes_no_sense_is_refused(
    api: Api, path: str, body: Any, said: str
) -> None:
    answer = await api.post(f"{V1}/{path}", json=body, headers=ADMIN)
    assert (answer.status, answer.kind) == (400, "invalid-request")
    assert said in answer.problem
    assert (await api.get(f"{V1}/queue", headers=ADMIN)).body == {"pause": None}


async def test_a_worker_is_drained(api: Api, stores: Stores) -> None:
    await report(stores, "빌더-1")
    drained = await api.post(f"{V1}/workers/빌더-1/drain", headers=ADMIN)
    assert (drained.status, drained.body["state"]) == (200, "draining")
    (worker,) = (await api.get(f"{V1}/workers", headers=ADMIN)).body["workers"]
    assert worker == drained.body


async def test_a_worker_that_would_not_heed_it_is_not_drained(api: Api, stores: Stores) -> None:
    await report(stores, "old", heeds=False)
    answer = await api.post(f"{V1}/workers/old/drain", headers=ADMIN)
    assert (answer.status, answer.kind) == (409, "old-worker")
    assert answer.problem == "worker old of release 0.9 cannot be drained; end it by SIGTERM"
    unknown = await api.post(f"{V1}/workers/nobody/drain", headers=ADMIN)
    assert (unknown.status, unknown.kind) == (404, "unknown-worker")
    assert unknown.problem == "no worker 'nobody' is alive: see `push-queue workers`"


async def register(stores: Stores) -> WebhookOutbox:
    outbox = WebhookOutbox(stores.database)
    await outbox.register("ci", webhook("https://ci.example.com", states=["failed", "cancelled"]))
    return outbox


async def test_the_receivers_of_webhooks_are_listed_for_admins(api: Api, stores: Stores) -> None:
    await register(stores)
    answer = await api.get(f"{V1}/webhooks", headers=ADMIN)
    (found,) = answer.body["webhooks"]
    assert (found["name"], found["origin"]) == ("ci", "https://ci.example.com")
    assert found["states"] == ["failed", "cancelled"]
    assert "S3CRET" not in str(found)
    read = await api.get(f"{V1}/webhooks", headers=bearer(TOKENS[Role.READ]))
    assert (read.status, read.kind) == (403, "role-missing")


@pytest.mark.parametrize("failure", ["", "https://ci.example.com: 500"])
async def test_a_receiver_of_webhooks_is_tried(
    api: Api, stores: Stores, failure: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await register(stores)
    answer_pings(monkeypatch, failure)
    answer = await api.post(f"{V1}/webhooks/ci/ping", headers=ADMIN)
    assert (answer.status, answer.body) == (200, {"failure": failure, "problem": ""})
    unknown = await api.post(f"{V1}/webhooks/ic/ping", headers=ADMIN)
    assert (unknown.status, unknown.kind) == (404, "unknown-webhook")


async def test_a_ping_that_no_worker_sends(
    api: Api, stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operator, "PING_SECONDS", 0)
    await register(stores)
    answer = await api.post(f"{V1}/webhooks/ci/ping", headers=ADMIN)
    assert answer.status == 200
    assert answer.body["problem"].startswith("no worker has sent the ping to ci")


async def test_a_receiver_of_webhooks_is_forgotten_once_no_worker_has_it(
    api: Api, stores: Stores, redis: Redis
) -> None:
    await register(stores)
    sender = "push:webhook:ci:sender"
    await redis.set(sender, "a worker")
    used = await api.post(f"{V1}/webhooks/ci/forget", headers=ADMIN)
    assert (used.status, used.kind) == (409, "webhook-in-use")
    await redis.delete(sender)
    dry = await api.post(f"{V1}/webhooks/ci/forget", params={"dry_run": "true"}, headers=ADMIN)
    assert (dry.status, dry.body) == (200, {"events": 0})
    assert (await api.get(f"{V1}/webhooks", headers=ADMIN)).body["webhooks"]
    done = await api.post(f"{V1}/webhooks/ci/forget", headers=ADMIN)
    assert (done.status, done.body) == (200, {"events": 0})
    assert (await api.get(f"{V1}/webhooks", headers=ADMIN)).body == {"webhooks": []}
    gone = await api.post(f"{V1}/webhooks/ci/forget", headers=ADMIN)
    assert (gone.status, gone.kind) == (404, "unknown-webhook")


async def test_knowledge_of_a_registry_is_forgotten(api: Api, redis: Redis) -> None:
    await redis.set(f"push:blob:{HOST}:sha256:a", "1")
    path = f"{V1}/registries/{HOST}/forget"
    found = {"blobs": 1, "uploads": 0}
    dry = await api.post(path, params={"dry_run": "true"}, headers=ADMIN)
    assert (dry.status, dry.body) == (200, found)
    assert (await api.post(path, headers=ADMIN)).body == found
    assert await redis.exists(f"push:blob:{HOST}:sha256:a") == 0
    bad = await api.post(path, params={"dryrun": "true"}, headers=ADMIN)
    assert (bad.status, bad.kind) == (400, "invalid-request")


async def test_finished_jobs_are_forgotten(api: Api) -> None:
    for job_id in ("a", "b"):
        job = {"id": job_id, "source": "/a.tar", "targets": [f"{HOST}/a:1"]}
        assert (await api.post(f"{V1}/jobs", json=job, headers=ADMIN)).status == 202
    await api.post(f"{V1}/jobs/a/cancel", headers=ADMIN)
    purge = f"{V1}/jobs/purge"
    params = {"registry": HOST}
    dry = await api.post(purge, params={**params, "dry_run": "true"}, headers=ADMIN)
    done = await api.post(purge, params=params, headers=ADMIN)
    assert [job["id"] for job in done.body["jobs"]] == ["a"]
    assert done.body == dry.body
    left = (await api.get(f"{V1}/jobs", headers=ADMIN)).body["jobs"]
    assert [job["id"] for job in left] == ["b"]
    assert (await api.post(purge, headers=ADMIN)).status == 400
