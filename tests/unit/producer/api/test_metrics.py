"""A scrape agrees with the queue, succeeds without Redis, and shows each caller its registries."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import fakeredis
import pytest
from aiohttp.test_utils import TestClient, TestServer
from prometheus_client.parser import text_string_to_metric_families

from producer import PushQueue
from producer.api.application import make_application
from producer.api.events.hub import EventHub
from producer.api.metrics.families import FAMILIES
from producer.api.metrics.samples import MOST_NAMED
from push_queue.models.fleet import WorkerInfo
from push_queue.models.pause import WHOLE_QUEUE
from push_queue.pauses import Pauses
from push_queue.settings import Settings
from push_queue.settings.api_tokens import ApiToken, Role, hash_of
from push_queue.webhook_outbox import WebhookOutbox
from push_queue.worker_roster import WorkerRoster
from tests.support.api import Api
from tests.support.metrics import Samples, parse_metrics
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores
from tests.support.webhooks import webhook

TOKEN = "prometheus-secret"


@pytest.fixture
async def scraped(api: Api) -> "Scrape":
    return Scrape(api)


class Scrape:
    def __init__(self, api: Api) -> None:
        self._api = api

    async def __call__(self, **headers: str) -> Samples:
        async with self._api.client.get("/metrics", headers=headers) as response:
            assert response.status == 200
            return parse_metrics(await response.text())


async def enqueue(
    queue: PushQueue, job_id: str, registry: str = "localhost:15000", **options: Any
) -> None:
    await queue.enqueue("/app.tar", f"{registry}/team/app:{job_id}", job_id=job_id, **options)


async def test_a_scrape_shows_the_queue(scraped: Scrape, queue: PushQueue) -> None:
    await enqueue(queue, "one")
    await enqueue(queue, "two", priority="high")
    await enqueue(queue, "three", not_before=timedelta(hours=1))
    await enqueue(queue, "four")
    await queue.cancel("four")
    found = await scraped()
    assert found["push_queue_redis_up"] == 1
    assert found["push_queue_jobs", "queued"] == 3
    assert found["push_queue_jobs", "cancelled"] == 1
    assert found["push_queue_due_jobs", "normal"] == 1
    assert found["push_queue_due_jobs", "high"] == 1
    assert found["push_queue_later_jobs", "normal"] == 1
    assert found["push_queue_jobs_ended_total", "", "cancelled"] == 1
    assert found["push_queue_housekeeper_held"] == 0
    assert found["push_queue_events"] == 5


async def test_without_redis_a_scrape_succeeds_and_says_so(
    scraped: Scrape, server: fakeredis.FakeServer, caplog: pytest.LogCaptureFixture
) -> None:
    server.connected = False
    found = await scraped()
    assert found["push_queue_redis_up"] == 0
    assert "push_queue_jobs" not in found.names
    assert "push_queue_build_info" in found.names
    assert "process_cpu_seconds_total" in found.names
    assert "metrics without those of the queue" in caplog.text


async def test_every_family_that_is_defined_is_shown_and_explained(
    api: Api, queue: PushQueue, stores: Stores
) -> None:
    await enqueue(queue, "one")
    await queue.cancel("one")
    await stores.limits.take_slot("one.example", "token", 10)
    await WebhookOutbox(stores.database).register("ci", webhook())
    async with api.client.get("/metrics") as response:
        families = {one.name: one for one in text_string_to_metric_families(await response.text())}
    for family in FAMILIES:
        if "spool" not in family.name:
            shown = families[family.name.removesuffix("_total")]
            assert shown.documentation == family.help
            assert shown.type == family.kind
            assert all(set(one.labels) == set(family.labels) for one in shown.samples)


async def test_webhooks_show_what_waits_and_what_is_lost(
    scraped: Scrape, queue: PushQueue, stores: Stores, clock: RedisClock
) -> None:
    outbox = WebhookOutbox(stores.database)
    await outbox.register("ci", webhook(backlog=2))
    for job_id in ("one", "two", "three"):
        await enqueue(queue, job_id)
        await queue.cancel(job_id)
        clock.advance(60)
    (two, _), _ = await outbox.read("ci", limit=2)
    await outbox.failed("ci", "500")
    await outbox.delivered("ci", two.place)
    found = await scraped()
    assert found["push_queue_webhook_waiting_events", "ci"] == 1
    assert found["push_queue_webhook_oldest_event_age_seconds", "ci"] == pytest.approx(60, abs=1)
    assert found.of("push_queue_webhook_requests_total") == {
        ("delivered", "ci"): 1,
        ("failed", "ci"): 1,
    }
    assert found.of("push_queue_webhook_lost_events_total") == {
        ("given_up", "ci"): 0,
        ("dropped", "ci"): 1,
    }


async def test_what_people_have_paused_is_told_from_what_failed(
    scraped: Scrape, stores: Stores
) -> None:
    pauses = Pauses(stores.database)
    await stores.limits.take_slot("fine.example", "token", 10)
    before = await scraped()
    assert before["push_queue_paused"] == 0
    assert before.of("push_queue_registry_paused_by_person") == {("fine.example",): 0}
    await pauses.pause(WHOLE_QUEUE)
    await pauses.pause("quiet.example", seconds=60)
    found = await scraped()
    assert found["push_queue_paused"] == 1
    assert found["push_queue_registry_paused_by_person", "quiet.example"] == 1
    assert found["push_queue_registry_paused_since_timestamp_seconds", "quiet.example"] == 0


async def test_workers_that_are_drained_are_counted(scraped: Scrape, stores: Stores) -> None:
    roster = WorkerRoster(stores.database)
    for worker_id in ("one", "two"):
        worker = WorkerInfo(
            id=worker_id,
            host="h",
            pid=1,
            version="1.2",
            started_at=datetime.now(UTC),
            running=3,
            max_jobs=10,
            heeds=True,
        )
        await roster.report(worker, ttl=15)
    await roster.drain("two")
    found = await scraped()
    assert found["push_queue_workers", "1.2"] == 2
    assert found["push_queue_workers_draining"] == 1
    assert found["push_queue_workers_running_jobs"] == 6
    assert found["push_queue_workers_max_jobs"] == 20


async def test_kinds_of_ends_are_there_before_the_first(scraped: Scrape) -> None:
    ended = (await scraped()).of("push_queue_jobs_ended_total")
    assert set(ended.values()) == {0}
    assert {("", "succeeded"), ("denied", "failed"), ("worker_lost", "failed")} <= ended.keys()


async def test_registries_beyond_the_most_are_others(scraped: Scrape, stores: Stores) -> None:
    for number in range(MOST_NAMED + 3):
        await stores.limits.take_slot(f"r{number}.example", "token", 10)
    await stores.limits.pause("first.example", "down", 20)
    found = await scraped()
    named = found.of("push_queue_registry_uploads")
    assert len(named) == MOST_NAMED + 1
    assert named[("other",)] == 4
    assert sum(named.values()) == MOST_NAMED + 3


async def test_a_paused_registry_has_its_times(scraped: Scrape, stores: Stores) -> None:
    await stores.limits.pause("down.example", "down", 20)
    await stores.limits.take_slot("fine.example", "token", 10)
    found = await scraped()
    since = found.of("push_queue_registry_paused_since_timestamp_seconds")
    until = found.of("push_queue_registry_paused_until_timestamp_seconds")
    assert until[("down.example",)] - since[("down.example",)] == pytest.approx(20, abs=0.01)
    assert since[("fine.example",)] == until[("fine.example",)] == 0


async def test_a_server_that_reads_no_events_falls_behind(
    queue: PushQueue, settings: Settings, clock: RedisClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def read_nothing(_: EventHub) -> None:
        await asyncio.Event().wait()

    monkeypatch.setattr(EventHub, "run", read_nothing)
    await enqueue(queue, "one")
    async with TestClient(TestServer(make_application(queue, settings))) as client:
        scrape = Scrape(Api(client))
        assert (await scrape())["push_queue_events_lag_seconds"] == 0
        clock.advance(30)
        await enqueue(queue, "two")
        assert (await scrape())["push_queue_events_lag_seconds"] == 30


class TestWithTokens:
    @pytest.fixture
    def settings(self, settings: Settings, tmp_path: Path) -> Settings:
        token = ApiToken(sha256=hash_of(TOKEN), role=Role.READ, targets=("own.example/*",))
        spool = {"spool": tmp_path / "spool", "spool_quota": 1000, "spool_keep_free": 0}
        return settings.model_copy(update={"api_tokens": {"prometheus": token}, **spool})

    async def test_who_has_no_token_learns_nothing(self, api: Api) -> None:
        answer = await api.get("/metrics")
        assert (answer.status, answer.kind) == (401, "token-missing")

    async def test_who_reads_sees_all_figures_but_only_registries_of_its_own(
        self, scraped: Scrape, stores: Stores
    ) -> None:
        for registry in ("own.example", "secret.example"):
            await stores.limits.take_slot(registry, "token", 10)
        found = await scraped(Authorization=f"Bearer {TOKEN}")
        assert found["push_queue_redis_up"] == 1
        assert found.of("push_queue_registry_uploads") == {("own.example",): 1}

    async def test_the_spool_is_measured(self, scraped: Scrape, settings: Settings) -> None:
        assert settings.spool
        (settings.spool / "01m87sgyjqggmqkhsnpkh1749q.part").write_bytes(bytes(300))
        found = await scraped(Authorization=f"Bearer {TOKEN}")
        assert found["push_queue_spool_used_bytes"] == 300
        assert found["push_queue_spool_quota_bytes"] == 1000
        assert found["push_queue_spool_room_bytes"] == 700


async def test_openmetrics_is_spoken_to_those_that_ask_for_it(api: Api) -> None:
    accept = {"Accept": "application/openmetrics-text;version=1.0.0"}
    async with api.client.get("/metrics", headers=accept) as response:
        assert response.content_type == "application/openmetrics-text"
        assert (await response.text()).endswith("# EOF\n")
