"""Streams and waits end with the login that they came with."""

import asyncio

import pytest
from aiohttp import ClientResponse

from producer.api.access import long_requests
from producer.api.access.authentication import COOKIE
from producer.api.access.keys import SESSIONS
from producer.api.access.limits import CallerLimits
from push_queue.settings import Settings
from push_queue.settings.api_tokens import Role, hash_of
from tests.support.api import JOBS, Api
from tests.support.tokens import OWN, TOKENS, bearer, with_tokens

HANG_SECONDS = 60
ENQUEUE = bearer(TOKENS[Role.ENQUEUE])


@pytest.fixture
def settings(settings: Settings) -> Settings:
    return with_tokens(settings)


@pytest.fixture(autouse=True)
def often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(long_requests, "CHECK_SECONDS", 0.01)


@pytest.fixture
async def secret(api: Api) -> str:
    """That of a session."""
    assert api.client.app
    return await api.client.app[SESSIONS].begin(hash_of(TOKENS[Role.ENQUEUE]))


@pytest.fixture
async def job(api: Api) -> str:
    body = {"source": "/images/app.tar", "targets": [OWN], "id": "a"}
    assert (await api.post(JOBS, json=body, headers=ENQUEUE)).status == 202
    return "a"


async def to_end(response: ClientResponse) -> bytes:
    async with asyncio.timeout(HANG_SECONDS):
        return await response.content.read()


async def log_out(api: Api, secret: str) -> None:
    headers = {"Cookie": f"{COOKIE}={secret}", "Sec-Fetch-Site": "same-origin"}
    assert (await api.ask("DELETE", "/api/v1/session", headers=headers)).status == 204


@pytest.mark.parametrize("path", ["/api/v1/events", f"{JOBS}/a/events"])
async def test_a_stream_ends_with_its_session(api: Api, job: str, secret: str, path: str) -> None:
    headers = {"Cookie": f"{COOKIE}={secret}"}
    async with api.client.get(path, headers=headers) as stream:
        assert stream.status == 200
        await stream.content.readuntil(b"\n\n")
        await log_out(api, secret)
        await to_end(stream)


async def test_a_wait_ends_with_its_session(
    api: Api, job: str, secret: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    waits = asyncio.Event()
    stream = CallerLimits.stream

    def note(*arguments: object) -> object:
        waits.set()
        return stream(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(CallerLimits, "stream", note)
    headers = {"Cookie": f"{COOKIE}={secret}"}
    waiting = asyncio.create_task(api.get(f"{JOBS}/{job}?wait=300", headers=headers))
    await waits.wait()
    await log_out(api, secret)
    async with asyncio.timeout(HANG_SECONDS):
        answer = await waiting
    assert (answer.status, answer.kind) == (401, "session-unknown")


async def test_a_token_that_holds_keeps_a_stream(api: Api, secret: str, job: str) -> None:
    async with (
        api.client.get("/api/v1/events", headers=ENQUEUE) as kept,
        api.client.get("/api/v1/events", headers={"Cookie": f"{COOKIE}={secret}"}) as ended,
    ):
        await kept.content.readuntil(b"\n\n")
        await log_out(api, secret)
        await to_end(ended)
        assert (await api.post(f"{JOBS}/{job}/cancel", headers=ENQUEUE)).status == 200
        async with asyncio.timeout(HANG_SECONDS):
            await kept.content.readuntil(b'"cancelled"')
