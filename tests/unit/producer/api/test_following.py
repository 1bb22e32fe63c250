"""Server-sent events: what happens, in order, once, and from where one broke off."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any
from unittest.mock import patch

import fakeredis
import pytest
from aiohttp import ClientResponse, web
from arq.connections import ArqRedis

from producer import PushQueue, RedisUnavailableError
from producer.api import application, following
from producer.api.context import EVENTS, QUEUE
from producer.api.events import hub as event_hub
from producer.api.events import progress_board
from push_queue.jobs.events import START, Position
from push_queue.models.assignments import Assignment
from push_queue.models.job_status import JobProgress
from push_queue.redis.keys import Keys
from push_queue.settings import Settings
from tests.support.api import JOBS, Api
from tests.support.assignments import succeed
from tests.support.stores import Stores
from tests.support.waiting import becomes

ALL = "/api/v1/events"
DIGEST = "sha256:" + "d" * 64


@pytest.fixture(autouse=True)
def no_progress(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else it may come between any two changes of state where the machine is slow."""
    monkeypatch.setattr(progress_board, "PROGRESS_SECONDS", 3600.0)


class Events:
    """What comes on one stream."""

    def __init__(self, response: ClientResponse) -> None:
        self.response = response

    async def block(self) -> list[str]:
        """The lines up to the next empty one; none at the end of the stream."""
        async with asyncio.timeout(60):
            text = (await self.response.content.readuntil(b"\n\n")).decode()
        return text.splitlines()[:-1]

    async def next(self) -> tuple[str, str, Any]:
        """The next event's id, name and data."""
        while True:
            lines = await self.block()
            fields = dict(line.split(": ", 1) for line in lines if not line.startswith(":"))
            if "data" in fields:
                return fields.get("id", ""), fields["event"], json.loads(fields["data"])

    async def at_end(self) -> bool:
        async with asyncio.timeout(60):
            return b"event" not in await self.response.content.read()


async def heard(api: Api) -> None:
    """Return once the server has heard of all that has happened."""
    app = api.client.app
    assert app
    last = await app[QUEUE].last_event()

    async def has_heard() -> bool:
        return app[EVENTS].position >= last

    await becomes(has_heard)


@asynccontextmanager
async def follow(api: Api, path: str, after: str | None = None) -> AsyncIterator[Events]:
    """What comes from now on, or after an event."""
    await heard(api)
    headers = {"Last-Event-ID": after} if after else {}
    async with api.client.get(path, headers=headers) as response:
        assert response.status == 200
        assert response.headers["Content-Type"] == "text/event-stream"
        events = Events(response)
        assert (await events.block())[0].startswith("retry: ")
        yield events


async def run(stores: Stores, job_id: str) -> None:
    assignment = await stores.attempts.start(job_id, 0, "worker")
    assert isinstance(assignment, Assignment)
    await succeed(stores, assignment, DIGEST)


# All jobs


async def test_every_change_of_every_job_comes_in_order(api: Api, stores: Stores) -> None:
    await api.enqueue(id="before")
    async with follow(api, ALL) as events, follow(api, ALL) as others:
        await api.enqueue(id="a")
        await run(stores, "a")
        for stream in (events, others):
            found = [await stream.next() for _ in range(3)]
            assert [(name, data["id"], data["state"]) for _, name, data in found] == [
                ("state", "a", "queued"),
                ("state", "a", "running"),
                ("state", "a", "succeeded"),
            ]


@pytest.fixture(params=[1, 5000])
def kept(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """How many events the server keeps; the others only Redis has."""
    monkeypatch.setattr(event_hub, "KEPT", request.param)


@pytest.mark.usefixtures("kept")
async def test_who_broke_off_goes_on_from_there(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "MOST_READ", 2)
    async with follow(api, ALL) as events:
        await api.enqueue(id="a")
        last, _, _ = await events.next()
    for number in range(5):
        await api.enqueue(id=f"b{number}")
    async with follow(api, ALL, after=last) as events:
        found = [await events.next() for _ in range(5)]
        await api.enqueue(id="c")
        assert [data["id"] for _, _, data in found] == [f"b{number}" for number in range(5)]
        assert (await events.next())[2]["id"] == "c"


async def test_who_was_away_too_long_is_told_so(api: Api, redis: ArqRedis, keys: Keys) -> None:
    await api.enqueue(id="a")
    position, _ = (await redis.xrange(keys.events))[0]
    for number in range(3):
        await api.enqueue(id=f"b{number}")
    await redis.xtrim(keys.events, maxlen=2, approximate=False)
    await heard(api)
    api.client.app[EVENTS]._complete_after = api.client.app[EVENTS].position
    async with follow(api, ALL, after=position.decode()) as events:
        assert (await events.next())[1] == "reset"


async def test_who_was_with_another_redis_is_told_so(api: Api) -> None:
    async with follow(api, ALL, after="99999999999999-0") as events:
        position, name, _ = await events.next()
        assert (position, name) == ("0-0", "reset")
        await api.enqueue(id="a")
        assert (await events.next())[2]["id"] == "a"


@pytest.mark.parametrize("path", [ALL, f"{JOBS}/a/events"])
@pytest.mark.parametrize("position", ["x", "1", "-", f"{2**64}-0"])
async def test_an_id_that_is_none_is_refused(api: Api, path: str, position: str) -> None:
    await api.enqueue(id="a")
    answer = await api.get(path, headers={"Last-Event-ID": position})
    assert answer.status == 400
    assert "Last-Event-ID" in answer.problem


async def test_a_quiet_stream_shows_that_it_is_there(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(following, "QUIET_SECONDS", 0.01)
    await api.enqueue(id="a")
    async with follow(api, ALL) as events, follow(api, f"{JOBS}/a/events") as job:
        assert (await events.block()) == [":"]
        await job.next()
        assert (await job.block()) == [":"]


# One job


async def test_a_job_is_followed_to_its_end(api: Api, stores: Stores) -> None:
    await api.enqueue(id="a")
    async with follow(api, f"{JOBS}/a/events") as events:
        _, name, job = await events.next()
        assert (name, job["id"], job["state"]) == ("job", "a", "queued")
        await api.enqueue(id="b")
        assignment = await stores.attempts.start("a", 0, "worker")
        assert isinstance(assignment, Assignment)
        while job["state"] != "running":
            _, _, job = await events.next()
            assert job["id"] == "a"
        await succeed(stores, assignment, DIGEST)
        while job["state"] != "succeeded":
            last, _, job = await events.next()
            assert job["id"] == "a"
        assert job["digest"] == DIGEST
        assert await events.at_end()
    # A browser comes again by itself, until it is told that nothing more can come.
    answer = await api.get(f"{JOBS}/a/events", headers={"Last-Event-ID": last})
    assert (answer.status, answer.body) == (204, None)


async def test_the_end_is_told_to_who_missed_it(api: Api, stores: Stores) -> None:
    await api.enqueue(id="a")
    async with follow(api, f"{JOBS}/a/events") as events:
        position, _, _ = await events.next()
    await run(stores, "a")
    async with follow(api, f"{JOBS}/a/events", after=position) as events:
        assert (await events.next())[2]["state"] == "succeeded"
        assert await events.at_end()


async def test_the_end_is_told_though_its_event_is_gone(
    api: Api, stores: Stores, redis: ArqRedis, keys: Keys
) -> None:
    await api.enqueue(id="a")
    async with follow(api, f"{JOBS}/a/events") as events:
        position, _, _ = await events.next()
    await run(stores, "a")
    await api.enqueue(id="b")
    await redis.xtrim(keys.events, maxlen=1, approximate=False)
    async with follow(api, f"{JOBS}/a/events", after=position) as events:
        assert (await events.next())[2]["state"] == "succeeded"


async def test_a_job_that_nobody_knows_has_no_events(api: Api) -> None:
    answer = await api.get(f"{JOBS}/a/events")
    assert (answer.status, answer.kind) == (404, "unknown-job")


# Progress


async def report(stores: Stores, assignment: Assignment, done: int) -> None:
    await stores.attempts.progress(
        assignment, bytes_done=done, bytes_total=10, blobs_done=0, blobs_total=1, bytes_sent=done
    )


async def started(api: Api, stores: Stores, job_id: str) -> Assignment:
    await api.enqueue(id=job_id)
    assignment = await stores.attempts.start(job_id, 0, "worker")
    assert isinstance(assignment, Assignment)
    return assignment


@pytest.fixture
def at_once(no_progress: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_board, "PROGRESS_SECONDS", 0.001)


@pytest.mark.usefixtures("at_once")
@pytest.mark.parametrize("path", [ALL, f"{JOBS}/a/events"])
async def test_progress_comes_between_the_changes(api: Api, stores: Stores, path: str) -> None:
    other, mine = await started(api, stores, "b"), await started(api, stores, "a")
    async with follow(api, path) as events:
        for done in (3, 7):
            if path == ALL:
                await report(stores, other, done)
            await report(stores, mine, done)
            data: dict[str, Any] = {}
            while (data.get("id"), data.get("bytes_done")) != ("a", done):
                position, name, data = await events.next()
                assert name in ("progress", "job", "state")
            assert (name, position) == ("progress", ""), "who breaks off goes on by the states"
            assert (data["bytes_total"], data["bytes_sent"], data["attempt"]) == (10, done, 1)
        await succeed(stores, mine, DIGEST)
        while data.get("state") != "succeeded":
            _, name, data = await events.next()


async def test_who_is_slow_gets_the_latest_progress_alone(
    queue: PushQueue, api: Api, stores: Stores
) -> None:
    told: list[int] = []
    board = progress_board.ProgressBoard(queue, lambda: told.append(1))
    a, b = await started(api, stores, "a"), await started(api, stores, "b")
    for done in range(5):
        await report(stores, a, done)
        board._put(await queue.running())
    seen = board.number
    await report(stores, a, 9)
    board._put(await queue.running())
    await report(stores, b, 9)
    board._put(await queue.running())
    messages = board.after(seen, bool).decode().split("\n\n")[:-1]
    assert [json.loads(message.partition("data: ")[2])["id"] for message in messages] == ["b", "a"]
    assert board.of("b", seen)
    assert not board.of("b", board.number)
    before = len(told)
    board._put(await queue.running())
    assert len(told) == before, "nothing is new"
    await succeed(stores, a, DIGEST)
    board._put(await queue.running())
    assert not board.of("a", 0), "it does not run"


async def test_progress_that_came_before_somebody_waits_is_told_at_once(
    queue: PushQueue, api: Api, stores: Stores
) -> None:
    hub = event_hub.EventHub(queue, START)
    await report(stores, await started(api, stores, "a"), 3)
    hub.progress._put(await queue.running())
    hub._keep((), Position(2**63, 0))
    async with asyncio.timeout(60):
        assert (await hub.next_after(hub.position, 3600, shown=0)).changes == ()
        _, progress = await hub.change_of("a", hub.position, 3600, shown=0)
        assert b'"bytes_done":3' in progress
        assert await hub.change_of("b", hub.position, 0.01, shown=0) == (hub.position, b"")


async def test_progress_is_read_for_those_alone_who_follow(
    api: Api, queue: PushQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(progress_board, "PROGRESS_SECONDS", 0.0)
    wanted, read = iter([False, False, True, False, True]), 0

    async def running(_: int) -> tuple[JobProgress, ...]:
        nonlocal read
        read += 1
        raise RedisUnavailableError("away")

    monkeypatch.setattr(queue, "running", running)
    with suppress(StopIteration, RuntimeError):
        await progress_board.ProgressBoard(queue, lambda: None).run(lambda: next(wanted))
    assert read == 2


# What is behind them


async def test_streams_outlive_an_outage_of_redis(
    api: Api, server: fakeredis.FakeServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (event_hub, following):
        monkeypatch.setattr(module, "_AWAY_SECONDS", 0.01)
    monkeypatch.setattr(following, "QUIET_SECONDS", 0.01)
    await api.enqueue(id="a")
    async with follow(api, ALL) as events, follow(api, f"{JOBS}/a/events") as job:
        await job.next()
        server.connected = False
        for stream in (events, job):
            assert await stream.block() == [":"]
            assert await stream.block() == [":"]
        server.connected = True
        await api.post(f"{JOBS}/a/cancel")
        assert (await events.next())[2]["state"] == "cancelled"
        assert (await job.next())[2]["state"] == "cancelled"


async def test_events_are_heard_again_after_an_outage(queue: PushQueue) -> None:
    hub = event_hub.EventHub(queue, START)
    heard = queue.events
    failures = iter([RedisUnavailableError("away")])

    async def events(after: Position, **options: Any) -> Any:
        for failure in failures:
            raise failure
        return await heard(after, **options)

    with (
        patch.object(queue, "events", events),
        patch.object(event_hub, "_AWAY_SECONDS", 0.01),
    ):
        await queue.enqueue("/app.tar", "localhost:1/app:1", job_id="a")
        reading = asyncio.create_task(hub.run())
        news = await hub.next_after(START, 60)
        reading.cancel()
    assert [change.job_id for change in news.changes] == ["a"]


async def test_a_bug_does_not_end_the_events_for_good(
    api: Api, queue: PushQueue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "_AGAIN_SECONDS", 0.01)
    heard = queue.events
    failures = iter([ZeroDivisionError()])

    async def events(after: Position, **options: Any) -> Any:
        for failure in failures:
            raise failure
        return await heard(after, **options)

    async with follow(api, ALL) as stream:
        monkeypatch.setattr(queue, "events", events)
        for job_id in ("a", "b", "c"):
            await api.enqueue(id=job_id)
        assert [(await stream.next())[2]["id"] for _ in range(3)] == ["a", "b", "c"]


async def test_a_bug_as_the_server_stops_does_not_keep_it(
    queue: PushQueue, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(application, "_AGAIN_SECONDS", 0.01)
    reading = asyncio.Event()
    failures = iter([ZeroDivisionError()])

    async def events(*_: Any, **__: Any) -> Any:
        reading.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            for failure in failures:
                raise failure from None
            raise

    monkeypatch.setattr(queue, "events", events)
    runner = web.AppRunner(application.make_application(queue, settings))
    await runner.setup()
    await reading.wait()
    stopping = asyncio.create_task(runner.cleanup())
    await asyncio.wait([stopping], timeout=10)
    assert stopping.done()


async def test_events_of_a_busy_queue_come_together(queue: PushQueue) -> None:
    """Or each of them would wake every follower, and be written to each."""
    hub = event_hub.EventHub(queue, START)
    heard = queue.events
    reads = 0

    async def events(after: Position, **options: Any) -> Any:
        nonlocal reads
        reads += 1
        return await heard(after, **options)

    await queue.enqueue("/app.tar", "localhost:1/app:1", job_id="a")
    gathered = asyncio.Event()
    pauses: list[float] = []

    async def pause(seconds: float) -> None:
        pauses.append(seconds)
        await gathered.wait()

    with patch.object(queue, "events", events), patch.object(event_hub, "_pause", pause):
        reading = asyncio.create_task(hub.run())
        first = await hub.next_after(START, 60)
        for job_id in ("b", "c", "d"):
            await queue.enqueue("/app.tar", "localhost:1/app:1", job_id=job_id)
        assert reads == 1
        gathered.set()
        then = await hub.next_after(first.position, 60)
        reading.cancel()
    assert [change.job_id for change in then.changes] == ["b", "c", "d"]
    assert pauses[0] == event_hub._GATHER_SECONDS


async def test_streams_end_when_the_server_stops(api: Api) -> None:
    await api.enqueue(id="a")
    async with follow(api, ALL) as events, follow(api, f"{JOBS}/a/events") as job:
        await job.next()
        await api.client.server.close()
        assert await events.at_end()
        assert await job.at_end()


@pytest.mark.parametrize("path", [ALL, f"{JOBS}/a/events"])
async def test_a_stream_has_no_head_alone(api: Api, path: str) -> None:
    """It would not end, and its events would come as the answer to the next request."""
    await api.enqueue(id="a")
    async with api.client.head(path) as response:
        assert response.status == 405
        assert response.headers["Allow"] == "GET"


async def test_there_is_an_end_to_followers(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(event_hub, "MOST_FOLLOWERS", 1)
    monkeypatch.setattr(following, "QUIET_SECONDS", 0.01)
    await api.enqueue(id="a")
    async with follow(api, ALL):
        for path in (ALL, f"{JOBS}/a/events", f"{JOBS}/a?wait=1"):
            answer = await api.get(path)
            assert (answer.status, answer.kind) == (503, "too-many-followers")
        assert (await api.get(f"{JOBS}/a")).status == 200

    async def served() -> bool:
        return (await api.get(f"{JOBS}/a?wait=0.01")).status == 200

    await becomes(served)
