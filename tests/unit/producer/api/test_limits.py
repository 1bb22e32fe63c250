"""One caller cannot take what others need."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from producer.api import inputs
from producer.api.access import limits
from producer.api.access.callers import EVERYBODY, Caller
from producer.api.access.keys import LIMITS
from producer.api.access.limits import CallerLimits
from producer.api.problems import ProblemError
from push_queue.settings import Settings
from push_queue.settings.api_tokens import Role
from tests.support.api import JOBS, Answer, Api
from tests.support.tokens import TOKENS, bearer, with_tokens
from tests.support.waiting import becomes

RATE = 5
BURST = RATE * limits.SAVED_SECONDS
STREAMS = 2
UPLOADS = "/api/v1/uploads"
CI = Caller("ci", Role.ENQUEUE, ("*/*",))
OTHER = Caller("other", Role.ENQUEUE, ("*/*",))
READER, ADMIN = bearer(TOKENS[Role.READ]), bearer(TOKENS[Role.ADMIN])


class Clock:
    """The time of the limits, which stands still unless it is moved."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr(limits, "monotonic", clock)
    return clock


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    limited = {"api_rate": RATE, "api_streams": STREAMS}
    spool = {"spool": tmp_path / "spool", "spool_keep_free": 0}
    return with_tokens(settings.model_copy(update=limited | spool))


class HeldBody:
    """A body of JSON that begins to arrive, and ends once ``rest`` is set."""

    def __init__(self, api: Api) -> None:
        self.rest = asyncio.Event()
        self._api = api

    async def blocks(self) -> AsyncIterator[bytes]:
        yield b"["
        await self.rest.wait()
        yield b"]"

    async def arrives(self) -> bool:
        assert self._api.client.app
        return bool(self._api.client.app[LIMITS]._body_bytes)


def counted(limit: CallerLimits, caller: Caller, most: int = 10 * BURST) -> int:
    """How many requests are let through at once."""
    for number in range(most):
        try:
            limit.count(caller)
        except ProblemError:
            return number
    return most


def test_a_burst_is_let_through_and_then_the_rate(clock: Clock) -> None:
    limit = CallerLimits(rate=RATE, streams=STREAMS)
    assert counted(limit, CI) == BURST
    assert counted(limit, OTHER) == BURST
    clock.now += 2
    assert counted(limit, CI) == 2 * RATE
    clock.now += 3600
    assert counted(limit, CI) == BURST


def test_a_refused_request_costs_nothing(clock: Clock) -> None:
    limit = CallerLimits(rate=RATE, streams=STREAMS)
    counted(limit, CI)
    for _ in range(BURST):
        with pytest.raises(ProblemError):
            limit.count(CI)
    clock.now += 1
    assert counted(limit, CI) == RATE


def test_who_has_no_name_is_not_counted() -> None:
    limit = CallerLimits(rate=RATE, streams=STREAMS)
    assert counted(limit, EVERYBODY) == 10 * BURST


def test_callers_that_are_quiet_are_forgotten(
    clock: Clock, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "_MOST_REMEMBERED", 10)
    limit = CallerLimits(rate=RATE, streams=STREAMS)
    for number in range(100):
        limit.count(Caller(f"repository-{number}", Role.READ, ("*/*",)))
        clock.now += 1
    assert len(limit._saved) <= 10


async def test_too_many_requests_are_told_when_to_come_again(api: Api, clock: Clock) -> None:
    for _ in range(BURST):
        assert (await api.get(JOBS, headers=READER)).status == 200
    answer = await api.get(JOBS, headers=READER)
    assert (answer.status, answer.kind) == (429, "too-many-requests")
    assert "team-read" in answer.problem
    wait = int(answer.headers["Retry-After"])
    assert wait >= 1
    assert (await api.get(JOBS, headers=ADMIN)).status == 200
    clock.now += wait
    assert (await api.get(JOBS, headers=READER)).status == 200


@pytest.mark.parametrize("path", ["/api/v1/events", f"{JOBS}/a?wait=300", f"{JOBS}/a/events"])
async def test_streams_and_waiting_requests_have_a_bound_together(api: Api, path: str) -> None:
    job = {"id": "a", "source": "/a.tar", "targets": ["reg.example.com/team/app:1"]}
    await api.post(JOBS, json=job, headers=ADMIN)
    async with asyncio.timeout(60):
        for _ in range(STREAMS):
            await api.client.get("/api/v1/events", headers=READER)
        answer = await api.get(path, headers=READER)
        assert (answer.status, answer.kind) == (429, "too-many-streams")
        assert int(answer.headers["Retry-After"]) >= 1
        async with api.client.get("/api/v1/events", headers=ADMIN) as stream:
            assert stream.status == 200


async def test_a_stream_that_ended_makes_room(api: Api) -> None:
    job = {"id": "a", "source": "/a.tar", "targets": ["reg.example.com/team/app:1"]}
    await api.post(JOBS, json=job, headers=ADMIN)
    await api.post(f"{JOBS}/a/cancel", headers=ADMIN)
    for _ in range(STREAMS + 1):
        async with api.client.get(f"{JOBS}/a/events", headers=READER) as stream:
            assert stream.status == 200
            await stream.read()


async def test_requests_of_one_caller_at_once_have_a_bound(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each may have much in memory. One that follows is no more at work."""
    monkeypatch.setattr(limits, "MOST_REQUESTS_AT_ONCE", 1)
    body = HeldBody(api)
    team = bearer(TOKENS[Role.ENQUEUE])
    json_body = {"Content-Type": "application/json"}
    async with asyncio.timeout(60), api.client.get("/api/v1/events", headers=team):
        first = asyncio.create_task(api.post(JOBS, data=body.blocks(), headers=team | json_body))
        await becomes(body.arrives)
        answer = await api.get(JOBS, headers=team)
        assert (answer.status, answer.kind) == (429, "too-many-requests")
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await api.get(JOBS, headers=ADMIN)).status == 200
        body.rest.set()
        assert (await first).status == 400
        assert (await api.get(JOBS, headers=team)).status == 200


async def test_large_bodies_of_one_caller_have_a_bound_together(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also those whose size nobody has said."""
    monkeypatch.setattr(limits, "MOST_BODY_BYTES_AT_ONCE", inputs.MOST_BODY_BYTES)
    body = HeldBody(api)
    json_body = {"Content-Type": "application/json"}
    headers = bearer(TOKENS[Role.ENQUEUE]) | json_body
    first = asyncio.create_task(api.post(JOBS, data=body.blocks(), headers=headers))
    async with asyncio.timeout(60):
        await becomes(body.arrives)
        answer = await api.post(JOBS, data=b"[]", headers=headers)
        assert (answer.status, answer.kind) == (429, "too-many-bodies")
        assert (await api.post(JOBS, data=b"[]", headers=ADMIN | json_body)).status == 400
        body.rest.set()
        assert (await first).status == 400
        assert (await api.post(JOBS, data=b"[]", headers=headers)).status == 400


@pytest.mark.parametrize(("method", "offset"), [("PUT", {}), ("PATCH", {"Upload-Offset": "0"})])
async def test_uploads_of_one_caller_at_once_have_a_bound(
    api: Api, monkeypatch: pytest.MonkeyPatch, method: str, offset: dict[str, str]
) -> None:
    monkeypatch.setattr(limits, "MOST_UPLOADS_AT_ONCE", 1)
    go_on = asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        yield b"a"
        await go_on.wait()

    async def arrives() -> bool:
        assert api.client.app
        return bool(api.client.app[LIMITS]._uploads)

    async def upload(headers: dict[str, str], data: object) -> Answer:
        return await api.ask("PUT", f"{UPLOADS}/app.tar", data=data, headers=headers)

    team = bearer(TOKENS[Role.ENQUEUE])
    url = (await api.post(UPLOADS, headers=team)).headers["Location"]
    first = asyncio.create_task(upload(team, slow()))
    async with asyncio.timeout(60):
        await becomes(arrives)
        answer = await api.ask(method, url, data=b"b", headers=team | offset)
        assert (answer.status, answer.kind) == (429, "too-many-uploads")
        assert int(answer.headers["Retry-After"]) >= 1
        assert (await upload(ADMIN, b"b")).status == 201
        go_on.set()
        assert (await first).status == 201
        assert (await upload(team, b"b")).status == 201


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/api/v1/session"), ("DELETE", "/api/v1/session")]
)
async def test_what_anybody_may_send_is_small(api: Api, method: str, path: str) -> None:
    async def chunked() -> AsyncIterator[bytes]:
        yield b" " * 3000
        yield b" " * 3000

    whole = json.dumps({"token": "x" * 6000}).encode()
    for body in (whole, chunked()):
        answer = await api.ask(
            method, path, data=body, headers={"Content-Type": "application/json"}
        )
        assert (answer.status, answer.kind) == (413, "request-entity-too-large")
