"""A courier brings every event at least once, in the order of its job, and holds up nobody else."""

import asyncio
import json
import logging
from collections.abc import Callable, Sequence
from typing import Any, cast

import pytest

from push_queue.errors import RedisUnavailableError
from push_queue.models.assignments import Assignment
from push_queue.models.job import make_job
from push_queue.redis.lease import Lease
from push_queue.webhook_outbox import WebhookOutbox
from registry_api_v2_client import RetryPolicy
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores
from tests.support.waiting import becomes
from tests.support.webhooks import webhook
from worker.webhooks import courier as module
from worker.webhooks.courier import Courier
from worker.webhooks.delivery import Delivery, NotDeliveredError

DAY = 24 * 3600
LEASE_SECONDS = 15
REFUSED = NotDeliveredError("http://127.0.0.1:1: 500 Internal Server Error")
GONE = NotDeliveredError("http://127.0.0.1:1: 410 Gone", gone=True)

Failure = Callable[[dict[str, Any]], NotDeliveredError | None]


class Receiver:
    """What a courier sends to: ``failure`` decides by the event."""

    def __init__(self) -> None:
        self.tried: list[dict[str, Any]] = []
        self.taken: list[dict[str, Any]] = []
        self.failure: Failure = lambda event: None
        self.open = asyncio.Event()
        self.open.set()

    async def send(self, event_id: str, body: bytes) -> None:
        event = json.loads(body)
        assert event["id"] == event_id
        self.tried.append(event)
        await self.open.wait()
        if failure := self.failure(event):
            raise failure
        self.taken.append(event)

    async def close(self) -> None:
        pass

    @property
    def jobs(self) -> list[tuple[str, str]]:
        return [(event["subject"], event["data"]["state"]) for event in self.taken]


class Site:
    """A queue with one receiver."""

    def __init__(self, stores: Stores) -> None:
        self.stores = stores
        self.outbox = WebhookOutbox(stores.database)
        self.receiver = Receiver()
        self.problems: dict[str, str] = {}

    def courier(self, receiver: Receiver | None = None, **filters: Any) -> Courier:
        database = self.stores.database
        return Courier(
            "ci",
            webhook(**filters),
            namespace="push",
            outbox=self.outbox,
            delivery=cast(Delivery, receiver or self.receiver),
            lease=Lease(database, database.keys.webhook_sender("ci"), LEASE_SECONDS),
            retry=RetryPolicy(base=0.001, maximum=0.01),
            problems=self.problems,
        )

    async def fail_job(self, job_id: str, **options: Any) -> None:
        job = make_job(id=job_id, source="/a", targets=["localhost:15000/app:1"], **options)
        await self.stores.jobs.create(job)
        await self.fail_again(job_id, 0)

    async def fail_again(self, job_id: str, generation: int) -> None:
        assignment = await self.stores.attempts.start(job_id, generation, "worker-1")
        assert isinstance(assignment, Assignment)
        await self.stores.attempts.fail(assignment, "no such name", "name_unknown")

    async def becomes(self, condition: Callable[[], bool]) -> None:
        async def holds() -> bool:
            return condition()

        await becomes(holds)

    async def is_empty(self) -> None:
        """Wait until nothing is left to deliver."""

        async def empty() -> bool:
            [status] = await self.outbox.statuses()
            return status.waiting == 0

        await becomes(empty)


@pytest.fixture
async def site(stores: Stores) -> Site:
    site = Site(stores)
    await site.outbox.register("ci", webhook())
    return site


async def test_an_event_is_sent_and_forgotten(site: Site) -> None:
    await site.fail_job("a")
    await site.courier().round()
    await site.is_empty()
    assert site.receiver.jobs == [("a", "failed")]
    [status] = await site.outbox.statuses()
    assert (status.delivered, status.failed) == (1, 0)


async def test_what_fails_is_sent_again_with_the_same_id(site: Site) -> None:
    await site.fail_job("a")
    site.receiver.failure = lambda _: REFUSED if len(site.receiver.tried) < 4 else None
    await site.courier().round()
    await site.is_empty()
    assert len(site.receiver.tried) == 4
    assert len({event["id"] for event in site.receiver.tried}) == 1
    [status] = await site.outbox.statuses()
    assert (status.delivered, status.failed, status.last_failure) == (1, 3, str(REFUSED))


async def test_the_events_of_a_job_wait_for_each_other_and_for_no_other_job(site: Site) -> None:
    await site.fail_job("a")
    await site.stores.jobs.requeue("a")
    await site.stores.jobs.cancel("a")
    await site.fail_job("b")
    refused = True
    site.receiver.failure = lambda event: (
        REFUSED
        if refused and event["subject"] == "a" and event["data"]["state"] == "failed"
        else None
    )
    await site.courier().round()
    await site.becomes(lambda: len(site.receiver.tried) > 5)
    assert site.receiver.jobs == [("b", "failed")]
    refused = False
    await site.is_empty()
    assert site.receiver.jobs == [("b", "failed"), ("a", "failed"), ("a", "cancelled")]
    of_a = [event["id"] for event in site.receiver.taken if event["subject"] == "a"]
    assert of_a == sorted(of_a)


async def test_a_later_event_of_a_job_in_hand_gets_in_line(site: Site) -> None:
    await site.fail_job("a")
    courier = site.courier()
    site.receiver.open.clear()
    await courier.round()
    await site.becomes(lambda: bool(site.receiver.tried))
    await site.stores.jobs.requeue("a")
    await site.fail_again("a", 1)
    await courier.round()
    site.receiver.open.set()
    await site.is_empty()
    assert [event["data"]["generation"] for event in site.receiver.taken] == [0, 1]


async def test_no_more_requests_at_once_than_allowed(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_IN_HAND", 15)
    for number in range(20):
        await site.fail_job(f"job-{number}")
    courier = site.courier()
    site.receiver.open.clear()
    for _ in range(2):
        await courier.round()
    await site.becomes(lambda: len(site.receiver.tried) == 10)
    assert len(courier._tasks) == 15
    site.receiver.open.set()
    await site.becomes(lambda: len(site.receiver.taken) == 15)
    await site.becomes(lambda: not courier._tasks)
    await courier.round()
    await site.is_empty()
    assert len(site.receiver.taken) == 20


async def test_what_the_filters_hold_back_is_not_sent_and_not_kept(site: Site) -> None:
    await site.fail_job("a", labels={"team": "web"})
    await site.fail_job("b", labels={"team": "db"})
    await site.courier(labels={"team": "web"}).round()
    await site.is_empty()
    assert site.receiver.jobs == [("a", "failed")]


async def test_only_the_one_with_the_lease_sends_and_another_takes_over(
    site: Site, clock: RedisClock
) -> None:
    first, second = site.courier(), site.courier(other := Receiver())
    for courier in (first, second):
        await courier.round()
    await site.fail_job("a")
    site.receiver.open.clear()
    for courier in (second, first):
        await courier.round()
    await site.becomes(lambda: bool(site.receiver.tried))
    assert other.tried == []
    clock.advance(LEASE_SECONDS + 1)  # The first is suspended in the middle of its request.
    await second.round()
    await site.is_empty()
    assert other.jobs == [("a", "failed")]
    await first.round()
    await site.fail_job("b")
    await first.round()
    await second.round()
    await site.is_empty()
    assert other.jobs == [("a", "failed"), ("b", "failed")]
    assert site.receiver.taken == []


async def test_one_that_stops_sends_what_is_there(site: Site) -> None:
    await site.fail_job("a")
    await site.courier().stop()
    assert site.receiver.jobs == [("a", "failed")]
    await site.is_empty()


async def test_one_that_stops_leaves_the_rest_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_LAST_SECONDS", 0)
    await site.fail_job("a")
    first, second = site.courier(), site.courier(other := Receiver())
    site.receiver.open.clear()
    await first.round()
    await site.becomes(lambda: bool(site.receiver.tried))
    await first.stop()
    await second.round()
    await site.is_empty()
    assert other.jobs == [("a", "failed")]


async def test_an_event_is_given_up_after_a_day_and_said_so(
    site: Site, clock: RedisClock, caplog: pytest.LogCaptureFixture
) -> None:
    await site.fail_job("old")
    clock.advance(DAY + 1)
    await site.fail_job("new")
    site.receiver.failure = lambda event: REFUSED
    courier = site.courier()
    await courier.round()
    await site.becomes(lambda: len(site.receiver.tried) > 5)
    assert [event["subject"] for event in site.receiver.tried].count("old") == 1

    async def given_up() -> bool:
        [status] = await site.outbox.statuses()
        return (status.given_up, status.waiting) == (1, 1)

    await becomes(given_up)
    assert "gave up" in caplog.text
    assert "job old failed" in caplog.text
    await courier.stop()


async def test_an_old_event_is_still_tried_once(site: Site, clock: RedisClock) -> None:
    await site.fail_job("a")
    clock.advance(3 * DAY)
    await site.courier().round()
    await site.is_empty()
    assert site.receiver.jobs == [("a", "failed")]


async def test_a_receiver_that_is_gone_gets_nothing_until_it_answers_a_ping(site: Site) -> None:
    await site.fail_job("a")
    site.receiver.failure = lambda _: GONE
    courier = site.courier()
    await courier.round()
    await site.becomes(lambda: not courier._tasks)
    await site.fail_job("b")
    for _ in range(3):
        await courier.round()
    assert len(site.receiver.tried) == 1
    token = await site.outbox.ask_for_ping("ci")
    site.receiver.failure = lambda _: None
    site.receiver.open.clear()
    for _ in range(3):  # It takes some seconds to answer.
        await courier.round()
        await asyncio.sleep(0)
    site.receiver.open.set()

    async def answered() -> bool:
        return await site.outbox.ping_answer("ci", token) == ""

    await becomes(answered)
    assert [event["id"] for event in site.receiver.tried].count(token) == 1
    await courier.round()
    await site.is_empty()
    assert site.receiver.taken[0]["type"] == "push-queue.ping"
    assert [event.get("subject") for event in site.receiver.taken[1:]] == ["a", "b"]


async def test_a_ping_is_sent_once_beside_what_waits(site: Site) -> None:
    await site.fail_job("a")
    site.receiver.failure = lambda event: REFUSED
    courier = site.courier()
    await courier.round()
    token = await site.outbox.ask_for_ping("ci")
    site.receiver.open.clear()
    for _ in range(3):
        await courier.round()
        await asyncio.sleep(0)
    site.receiver.open.set()

    async def answered() -> bool:
        return await site.outbox.ping_answer("ci", token) == str(REFUSED)

    await becomes(answered)
    assert [event["id"] for event in site.receiver.tried].count(token) == 1
    await courier.stop()


async def test_what_redis_has_not_noted_is_sent_again(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    await site.fail_job("a")
    courier, delivered = site.courier(), site.outbox.delivered

    async def lost(name: str, place: str = "") -> None:
        monkeypatch.setattr(site.outbox, "delivered", delivered)
        raise RedisUnavailableError("Redis went down")

    monkeypatch.setattr(site.outbox, "delivered", lost)
    await courier.round()
    await site.becomes(lambda: not courier._tasks)
    assert len(site.receiver.taken) == 1
    await courier.round()
    await site.is_empty()
    assert len(site.receiver.taken) == 2
    assert len({event["id"] for event in site.receiver.taken}) == 1


def test_waits_grow_and_what_is_asked_for_is_kept(
    stores: Stores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(RetryPolicy.backoff, "__defaults__", (lambda: 1.0,))
    courier = Site(stores).courier()
    courier._retry = RetryPolicy(base=1.0, maximum=300.0)
    waits = [courier._delay(attempt, 0.0) for attempt in (1, 2, 3, 9, 10, 5000)]
    assert waits == [1.0, 2.0, 4.0, 256.0, 300.0, 300.0]
    assert courier._delay(1, 120.0) == 120.0
    assert courier._delay(1, 10.0**9) == 3600.0


async def test_trouble_is_said_once_when_it_begins_and_once_when_it_ends(
    site: Site, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    await site.fail_job("a")
    failing = True
    site.receiver.failure = lambda _: REFUSED if failing else None
    await site.courier().round()
    await site.becomes(lambda: len(site.receiver.tried) > 3)
    assert site.problems == {"webhook ci": str(REFUSED)}
    failing = False
    await site.is_empty()
    assert site.problems == {}
    told = [record.getMessage() for record in caplog.records if "webhook ci" in record.message]
    assert told == [f"webhook ci: events wait: {REFUSED}", "webhook ci: events arrive again"]


async def test_what_redis_cannot_discard_costs_no_other_event(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    discard = site.outbox.discard

    async def refuse(name: str, places: Sequence[str]) -> None:
        monkeypatch.setattr(site.outbox, "discard", discard)
        raise RedisUnavailableError("Redis went down")

    monkeypatch.setattr(site.outbox, "discard", refuse)
    await site.fail_job("theirs", labels={"team": "b"})
    await site.fail_job("ours", labels={"team": "a"})
    courier = site.courier(labels={"team": "a"})
    with pytest.raises(RedisUnavailableError):
        await courier.round()
    await courier.round()
    await site.is_empty()
    assert site.receiver.jobs == [("ours", "failed")]
