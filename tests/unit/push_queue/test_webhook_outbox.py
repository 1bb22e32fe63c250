"""Each receiver's stream has every end of a job that it wants, once, in order, and no more."""

from dataclasses import replace
from typing import Any

import pytest

from push_queue.models.assignments import Assignment
from push_queue.models.job import make_job
from push_queue.models.job_status import FINAL_STATES, JobState
from push_queue.webhook_outbox import KEPT_SECONDS, FinalEvent, WebhookOutbox
from tests.support.assignments import succeed
from tests.support.redis_client import Redis
from tests.support.redis_clock import RedisClock
from tests.support.stores import Stores
from tests.support.webhooks import webhook

TARGET = "localhost:15000/app:1"
DIGEST = "sha256:" + "1" * 64


@pytest.fixture
def outbox(stores: Stores) -> WebhookOutbox:
    return WebhookOutbox(stores.database)


async def create(stores: Stores, job_id: str, **options: Any) -> None:
    options = {"id": job_id, "source": "/a.tar", "targets": [TARGET], **options}
    await stores.jobs.create(make_job(**options))


async def start(stores: Stores, job_id: str, generation: int = 0) -> Assignment:
    assignment = await stores.attempts.start(job_id, generation, "worker-1")
    assert isinstance(assignment, Assignment)
    return assignment


async def events(outbox: WebhookOutbox, name: str = "ci") -> tuple[FinalEvent, ...]:
    found, _ = await outbox.read(name, limit=100)
    return found


async def end(stores: Stores, state: JobState) -> None:
    """Each way to end, by the script that does it."""
    await create(stores, state)
    match state:
        case JobState.CANCELLED:
            await stores.jobs.cancel(state)
        case JobState.SUCCEEDED:
            await succeed(stores, await start(stores, state), DIGEST)
        case JobState.FAILED:
            await stores.attempts.fail(await start(stores, state), "no such name", "name_unknown")
        case JobState.SUPERSEDED:
            await create(stores, "newer")
            await succeed(stores, await start(stores, "newer"), DIGEST)
            await stores.attempts.start(state, 0, "worker-1")


@pytest.mark.parametrize("state", FINAL_STATES)
async def test_every_final_state_is_told_with_the_whole_job(
    stores: Stores, outbox: WebhookOutbox, state: JobState
) -> None:
    await outbox.register("ci", webhook(states=[state]))
    await end(stores, state)
    [event] = [event for event in await events(outbox) if event.job.id == state]
    assert event.job == await stores.jobs.status(state)
    assert event.job.state is state
    assert event.job.finished_at


async def test_a_damaged_record_is_told_as_failed(
    stores: Stores, outbox: WebhookOutbox, redis: Redis
) -> None:
    await outbox.register("ci", webhook())
    await create(stores, "a")
    await redis.hset("push:job:a", "targets", "[")
    assert await stores.records.end_if_unreadable("a")
    [event] = await events(outbox)
    assert (event.job.id, event.job.state, event.job.error_kind) == ("a", "failed", "invalid_job")


async def test_what_a_receiver_does_not_want_is_not_kept_for_it(
    stores: Stores, outbox: WebhookOutbox, redis: Redis
) -> None:
    await outbox.register("failures", webhook(states=["failed"]))
    await end(stores, JobState.CANCELLED)
    await end(stores, JobState.FAILED)
    assert [event.job.id for event in await events(outbox, "failures")] == ["failed"]


async def test_nothing_is_kept_without_receivers(stores: Stores, redis: Redis) -> None:
    await end(stores, JobState.FAILED)
    assert [key async for key in redis.scan_iter("push:webhook*")] == []


async def test_a_job_that_is_retried_has_several_ends_as_they_were(
    stores: Stores, outbox: WebhookOutbox, clock: RedisClock
) -> None:
    """Also if the clock is set back."""
    await outbox.register("ci", webhook())
    await end(stores, JobState.FAILED)
    await stores.jobs.requeue("failed")
    clock.advance(-60)
    await succeed(stores, await start(stores, "failed", 1), DIGEST)
    first, second = await events(outbox)
    assert (first.job.state, second.job.state) == (JobState.FAILED, JobState.SUCCEEDED)
    assert (first.job.error, first.job.digest) == ("no such name", None)
    assert (second.job.error, second.job.digest) == (None, DIGEST)
    assert first.id < second.id


async def test_receivers_have_streams_of_their_own_and_the_same_ids(
    stores: Stores, outbox: WebhookOutbox
) -> None:
    for name in ("ci", "chat"):
        await outbox.register(name, webhook())
    await end(stores, JobState.FAILED)
    [of_ci], [of_chat] = await events(outbox), await events(outbox, "chat")
    assert of_ci.id == of_chat.id
    await outbox.delivered("ci", of_ci.place)
    assert await events(outbox) == ()
    assert [event.id for event in await events(outbox, "chat")] == [of_chat.id]


async def test_two_queues_that_use_a_number_at_once_have_different_ids(
    stores: Stores, outbox: WebhookOutbox
) -> None:
    await outbox.register("ci", webhook())
    await end(stores, JobState.FAILED)
    [event] = await events(outbox)
    of_another = replace(event, job=event.job.model_copy(update={"id": "another"}))
    assert event.id != of_another.id
    assert event.id == replace(event, place="1-0", age=9.0).id


async def test_a_settled_attempt_that_is_settled_again_is_told_once(
    stores: Stores, outbox: WebhookOutbox
) -> None:
    await outbox.register("ci", webhook())
    await create(stores, "a")
    assignment = await start(stores, "a")
    for _ in range(2):
        await stores.attempts.fail(assignment, "gone", "name_unknown")
    assert len(await events(outbox)) == 1


async def test_the_oldest_make_room_and_are_counted(
    stores: Stores, outbox: WebhookOutbox, clock: RedisClock
) -> None:
    await outbox.register("ci", webhook(backlog=2))
    for number in range(5):
        await create(stores, f"job-{number}")
        await stores.jobs.cancel(f"job-{number}")
    assert [event.job.id for event in await events(outbox)] == ["job-3", "job-4"]
    [status] = await outbox.statuses()
    assert (status.waiting, status.dropped) == (2, 3)
    assert status.last_lost_at
    assert status.last_lost_at.timestamp() == pytest.approx(clock.now, abs=1)


async def test_reading_goes_on_where_it_ended(stores: Stores, outbox: WebhookOutbox) -> None:
    await outbox.register("ci", webhook())
    for number in range(3):
        await create(stores, f"job-{number}")
        await stores.jobs.cancel(f"job-{number}")
    first, place = await outbox.read("ci", limit=2)
    rest, end_of_it = await outbox.read("ci", after=place, limit=2)
    assert [event.job.id for event in (*first, *rest)] == ["job-0", "job-1", "job-2"]
    assert await outbox.read("ci", after=end_of_it, limit=2) == ((), end_of_it)


async def test_an_event_knows_how_old_it_is(
    stores: Stores, outbox: WebhookOutbox, clock: RedisClock
) -> None:
    await outbox.register("ci", webhook())
    await end(stores, JobState.FAILED)
    clock.advance(90)
    [event] = await events(outbox)
    assert event.age == pytest.approx(90, abs=1)


async def test_a_receiver_that_no_worker_has_is_forgotten_after_a_week(
    stores: Stores, outbox: WebhookOutbox, redis: Redis, clock: RedisClock
) -> None:
    await outbox.register("old", webhook())
    await end(stores, JobState.FAILED)
    clock.advance(KEPT_SECONDS - 1)
    assert [status.name for status in await outbox.statuses()] == ["old"]
    assert len(await events(outbox, "old")) == 1
    clock.advance(2)
    await outbox.register("new", webhook())
    await end(stores, JobState.CANCELLED)
    assert await redis.smembers("push:webhooks") == {b"new"}
    assert await events(outbox, "old") == ()
    assert len(await events(outbox, "new")) == 1


async def test_the_status_says_how_delivery_goes(
    stores: Stores, outbox: WebhookOutbox, clock: RedisClock
) -> None:
    await outbox.register("ci", webhook("https://ci.example.com", states=["failed", "cancelled"]))
    [status] = await outbox.statuses()
    assert (status.waiting, status.waiting_since, status.last_success_at) == (0, None, None)
    for state in (JobState.FAILED, JobState.CANCELLED):
        await end(stores, state)
        clock.advance(60)
    failed, cancelled = await events(outbox)
    await outbox.failed("ci", "500\nInternal Server Error")
    [status] = await outbox.statuses()
    assert status.last_lost_at is None, "it is tried again"
    await outbox.given_up("ci", failed.place, "500 Internal Server Error")
    [status] = await outbox.statuses()
    assert status.waiting_since
    assert status.waiting_since.timestamp() == pytest.approx(clock.now - 60, abs=1)
    await outbox.delivered("ci", cancelled.place)
    [status] = await outbox.statuses()
    assert (status.origin, status.states) == ("https://ci.example.com", ("failed", "cancelled"))
    assert (status.waiting, status.delivered, status.failed, status.given_up) == (0, 1, 1, 1)
    assert status.last_failure == "500 Internal Server Error"
    assert status.last_lost_at == status.last_failure_at
    assert status.last_success_at
    assert status.last_success_at.timestamp() == pytest.approx(clock.now, abs=1)


async def test_who_wants_no_more_gets_no_more_until_its_url_changes(outbox: WebhookOutbox) -> None:
    await outbox.register("ci", webhook())
    await outbox.set_gone("ci", True)
    await outbox.register("ci", webhook(states=["failed"]))
    assert (await outbox.wishes("ci")).gone
    [status] = await outbox.statuses()
    assert status.gone
    await outbox.register("ci", webhook("http://127.0.0.1:2"))
    assert not (await outbox.wishes("ci")).gone


async def test_a_ping_is_answered_once(outbox: WebhookOutbox) -> None:
    await outbox.register("ci", webhook())
    token = await outbox.ask_for_ping("ci")
    assert (await outbox.wishes("ci")).ping == token
    assert await outbox.ping_answer("ci", token) is None
    await outbox.answer_ping("ci", token, "500 Internal Server Error")
    assert (await outbox.wishes("ci")).ping is None
    assert await outbox.ping_answer("ci", token) == "500 Internal Server Error"
    another = await outbox.ask_for_ping("ci")
    assert await outbox.ping_answer("ci", another) is None
    await outbox.answer_ping("ci", another)
    assert await outbox.ping_answer("ci", another) == ""
