import pytest
from redis.asyncio import Redis

from push_queue.jobs.events import START, JobEvents, Position
from push_queue.models.job import PushJob, make_job
from push_queue.models.job_status import JobState
from push_queue.redis.keys import Keys
from tests.support.stores import Stores


def a_job(job_id: str) -> PushJob:
    return make_job(id=job_id, source="/images/app.tar", targets=["localhost:15000/app:1"])


@pytest.fixture
def events(stores: Stores) -> JobEvents:
    return JobEvents(stores.database)


async def test_events_come_in_their_order_from_a_position_on(
    stores: Stores, events: JobEvents
) -> None:
    assert await events.first() == await events.last() == START
    await stores.jobs.create(a_job("a"))
    await stores.jobs.create(a_job("b"))
    await stores.jobs.cancel("a")
    first, reached = await events.after(START, limit=2)
    rest, end = await events.after(reached, limit=2)
    assert [(placed.event.id, placed.event.state) for placed in (*first, *rest)] == [
        ("a", JobState.QUEUED),
        ("b", JobState.QUEUED),
        ("a", JobState.CANCELLED),
    ]
    assert (await events.first(), await events.last()) == (first[0].position, end)
    assert await events.after(end, limit=2) == ((), end)


async def test_what_makes_no_sense_is_passed_over(
    redis: Redis, keys: Keys, events: JobEvents
) -> None:
    await redis.xadd(keys.events, {"id": "a", "state": "\xff"})
    assert await events.after(START, limit=5) == ((), await events.last())


@pytest.mark.parametrize("text", ["", "1", "1-", "-1-0", "1-0 ", "1-0-0", "\u0661-0", f"{2**64}-0"])
def test_a_position_that_is_none(text: str) -> None:
    with pytest.raises(ValueError, match="no id of an event"):
        Position.parse(text)


def test_positions_have_an_order() -> None:
    assert Position.parse("9-10") > Position.parse("9-9") > Position.parse("8-99")
    assert str(Position.parse("9-10")) == "9-10"
