"""Every route refuses what the document says that it does; the rest is in tests of its own.

Any of them may be answered with 400, 408, 417 and 503 before it is looked at; see
``test_connections``.
"""

import gzip
import io
from http import HTTPMethod
from pathlib import Path
from typing import Any

import pytest

from producer.api.access import limits
from producer.api.inputs import MOST_BODY_BYTES
from producer.api.openapi import describe
from producer.api.route import Route
from producer.api.routes import ROUTES
from push_queue.settings import Settings
from push_queue.settings.api_tokens import Role
from tests.support.api import Api
from tests.support.tokens import OWN, TOKENS, bearer, with_tokens

BEYOND = MOST_BODY_BYTES + 1
UPLOADS = "/api/v1/uploads"
PLACES = {
    "job_id": "a",
    "upload_id": "0" * 26,
    "worker_id": "none",
    "registry": "localhost",
    "webhook": "none",
}


@pytest.fixture
def settings(settings: Settings, tmp_path: Path) -> Settings:
    spool = {"spool": tmp_path / "spool", "spool_keep_free": 0, "spool_quota": MOST_BODY_BYTES}
    return with_tokens(settings.model_copy(update=spool | {"api_rate": 20}))


def refusing(status: int, *, tokens: bool = True) -> list[Route]:
    """The routes that refuse something with this status."""
    paths = describe(ROUTES, "0", with_tokens=tokens)["paths"]
    return [
        route
        for route in ROUTES
        if str(status) in paths[route.path][route.method.lower()]["responses"]
    ]


def token_for(route: Route) -> dict[str, str]:
    return bearer(TOKENS[Role.WORKER if route.role is Role.WORKER else Role.ADMIN])


async def refused(api: Api, route: Route, headers: dict[str, str], **options: Any) -> int:
    """The status, where job and upload are there, and the bytes of the upload can come."""
    admin = bearer(TOKENS[Role.ADMIN])
    job = {"source": "/images/app.tar", "targets": [OWN], "id": "a"}
    await api.post("/api/v1/jobs", json=job, headers=admin)
    upload = (await api.ask("PUT", f"{UPLOADS}/x", data=b"x", headers=admin)).body["id"]
    if route.method == HTTPMethod.PATCH:
        upload = (await api.post(UPLOADS, headers=admin)).body["id"]
    if route.method == HTTPMethod.PUT:
        upload = "app.tar"
    path = route.path.format_map({**PLACES, "upload_id": upload})
    answer = await api.ask(route.method, path, headers=headers, **options)
    assert answer.problem
    return answer.status


async def test_without_a_token(api: Api) -> None:
    for route in refusing(401):
        # To log in is to say a token.
        options: Any = {} if route.role else {"json": {"token": "none"}}
        assert await refused(api, route, {}, **options) == 401, route


async def test_by_a_page_of_another_origin(api: Api) -> None:
    for route in refusing(403):
        headers = {**token_for(route), "Origin": "https://other.example.com"}
        assert await refused(api, route, headers) == 403, route


async def test_of_what_is_not_there(api: Api) -> None:
    for route in refusing(404):
        if "{" in route.path:
            path = route.path.format_map(PLACES | {"job_id": "none"})
            headers = {**token_for(route), "Upload-Offset": "0", "Content-Range": "bytes 0-0/1"}
            data = b"x" if route.takes_tar else None
            answer = await api.ask(route.method, path, headers=headers, data=data)
            assert (answer.status, answer.kind.partition("-")[0]) == (404, "unknown"), route


async def test_with_too_many_bytes(api: Api) -> None:
    for route in refusing(413):
        headers = {**token_for(route), "Content-Type": "application/json", "Upload-Offset": "0"}
        data = io.BytesIO(b" " * BEYOND)
        assert await refused(api, route, headers, data=data) == 413, route


async def test_with_a_compressed_body(api: Api) -> None:
    for route in refusing(415):
        headers = {**token_for(route), "Content-Type": "application/json", "Upload-Offset": "0"}
        headers |= {"Content-Encoding": "gzip"}
        assert await refused(api, route, headers, data=gzip.compress(b"{}")) == 415, route


async def test_of_a_caller_who_asks_too_much(api: Api, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "monotonic", lambda: 1000.0)
    callers = {route.role: token_for(route) for route in refusing(429)}.values()
    for caller in callers:
        while (await api.get("/api/v1/session", headers=caller)).status != 429:
            pass
    for route in refusing(429):
        path = route.path.format_map(PLACES)
        answer = await api.ask(route.method, path, headers=token_for(route))
        assert (answer.status, answer.kind) == (429, "too-many-requests"), route
        assert int(answer.headers["Retry-After"]) >= 1


class TestWithoutTokens:
    @pytest.fixture
    def settings(self, settings: Settings) -> Settings:
        return settings.model_copy(update={"api_tokens": {}})

    async def test_under_another_name(self, api: Api) -> None:
        for route in refusing(421, tokens=False):
            assert await refused(api, route, {"Host": "other.example.com"}) == 421, route

    def test_nobody_is_asked_for_a_token(self) -> None:
        assert not refusing(401, tokens=False)
        assert not refusing(429, tokens=False)
