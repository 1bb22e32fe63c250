"""Who may call, what a body may be, and what happens when something is down."""

import asyncio
import gzip
import io
import json
import logging
from datetime import UTC, datetime
from typing import Any
from unittest.mock import patch

import fakeredis
import pytest
from aiohttp import web
from multidict import CIMultiDict

from producer import PushQueue, QueueError
from producer.api import inputs
from producer.api.problems import RETRY_AFTER_SECONDS
from push_queue.models.fleet import WorkerInfo
from push_queue.worker_roster import WorkerRoster
from tests.support.api import JOBS, NEW_JOB, Api
from tests.support.stores import Stores

JSON = {"Content-Type": "application/json"}


@pytest.mark.parametrize(
    "host",
    [
        "evil.example.com",
        "evil.example.com:15080",
        "127.0.0.1.evil.example.com",
        "",
        "0.0.0.0",
        "10.0.0.1:80",
        "localhost.example.com",
        "localhost:x@evil.example.com",
    ],
)
async def test_another_host_is_refused(api: Api, host: str) -> None:
    """A page whose name was made to resolve to the loopback sends that name."""
    for path in (JOBS, "/healthz", "/nothing"):
        answer = await api.get(path, headers={"Host": host})
        assert (answer.status, answer.kind) == (421, "unknown-host")


async def test_another_host_in_a_whole_url_is_refused(api: Api) -> None:
    """It counts more than ``Host``: RFC 9112, section 3.2.2."""
    assert await asked_for(api, "http://evil.example.com/healthz") == 421
    assert await asked_for(api, "http://localhost:80@evil.example.com/healthz") == 421
    assert await asked_for(api, "http://localhost/healthz") == 200


async def asked_for(api: Api, url: str) -> int:
    """The status where the request line names this URL."""
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    writer.write(f"GET {url} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
    async with asyncio.timeout(60):
        line = await reader.readline()
    writer.close()
    return int(line.split()[1])


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:80", "127.0.0.1:15080", "[::1]:15080"])
async def test_the_loopbacks_names_are_served(api: Api, host: str) -> None:
    assert (await api.get(JOBS, headers={"Host": host})).status == 200


@pytest.mark.parametrize(
    "headers",
    [
        {"Origin": "https://evil.example.com"},
        {"Origin": "null"},
        {"Origin": "http://localhost:3000"},
        {"Sec-Fetch-Site": "cross-site"},
        {"Sec-Fetch-Site": "same-site"},
    ],
)
async def test_a_page_of_another_origin_is_refused(api: Api, headers: dict[str, str]) -> None:
    for answer in (
        await api.post(JOBS, json=NEW_JOB, headers=headers),
        await api.get(JOBS, headers=headers),
        await api.ask("OPTIONS", JOBS, headers=headers),
    ):
        assert (answer.status, answer.kind) == (403, "other-origin")
        assert not [name for name in answer.headers if name.startswith("Access-Control")]
    assert (await api.get(JOBS)).body["jobs"] == []


async def test_a_page_of_its_own_is_served(api: Api) -> None:
    headers = {"Origin": str(api.client.make_url("/").origin()), "Sec-Fetch-Site": "same-origin"}
    assert (await api.post(JOBS, json=NEW_JOB, headers=headers)).status == 202


@pytest.mark.parametrize(
    "media_type",
    ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data; boundary=x", None],
)
async def test_bodies_that_a_form_can_send_are_refused(api: Api, media_type: str | None) -> None:
    job = await api.enqueue()
    headers = {"Content-Type": media_type} if media_type else {}
    for path in (JOBS, f"{JOBS}/{job['id']}/cancel"):
        answer = await api.post(
            path, data=b"{}", headers=headers, skip_auto_headers=["Content-Type"]
        )
        assert (answer.status, answer.kind) == (415, "unsupported-media-type")
    assert (await api.get(f"{JOBS}/{job['id']}")).body["state"] == "queued"


async def test_an_empty_form_is_refused(api: Api) -> None:
    job = await api.enqueue()
    headers = {"Content-Type": "application/x-www-form-urlencoded"}
    answer = await api.post(f"{JOBS}/{job['id']}/cancel", headers=headers)
    assert (answer.status, answer.kind) == (415, "unsupported-media-type")


@pytest.mark.parametrize("before", [(), (("Content-Encoding", "identity"),)])
async def test_a_compressed_body_is_refused(api: Api, before: tuple[tuple[str, str], ...]) -> None:
    """aiohttp heeds the last of several such headers."""
    headers = CIMultiDict([*JSON.items(), *before, ("Content-Encoding", "gzip")])
    body = gzip.compress(json.dumps(NEW_JOB).encode())
    answer = await api.post(JOBS, data=body, headers=headers)
    assert (answer.status, answer.kind) == (415, "unsupported-media-type")


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[" * 100_000,
        b"\xff\xfe",
        b'{"source": "\\ud800"}',
        b"NaN",
        b"1" * 10_000,
        b'{"id": "\\u0000"}',
    ],
)
async def test_what_is_no_json_is_a_bad_request(api: Api, body: bytes) -> None:
    answer = await api.post(JOBS, data=body, headers=JSON)
    assert (answer.status, answer.kind) == (400, "invalid-request")
    assert len(answer.problem) <= 1000


async def test_a_body_has_a_bound(api: Api) -> None:
    async def endless() -> Any:
        for _ in range(inputs.MOST_BODY_BYTES // 65536 + 2):
            yield b" " * 65536

    for body in (io.BytesIO(b" " * (inputs.MOST_BODY_BYTES + 1)), endless()):
        answer = await api.post(JOBS, data=body, headers=JSON)
        assert (answer.status, answer.kind) == (413, "request-entity-too-large")
        assert f"{inputs.MOST_BODY_BYTES} bytes" in answer.problem


async def test_a_body_that_is_too_large_is_refused_before_it_comes(api: Api) -> None:
    reader, writer = await asyncio.open_connection(api.client.host, api.client.port)
    head = "Host: localhost\r\nContent-Type: application/json\r\nContent-Length: 9999999999"
    writer.write(f"POST {JOBS} HTTP/1.1\r\n{head}\r\n\r\n".encode())
    async with asyncio.timeout(60):
        assert b" 413 " in await reader.readline()
    writer.close()


async def test_a_body_that_does_not_come_is_given_up(
    api: Api, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inputs, "BODY_SECONDS", 0.05)
    came = asyncio.Event()

    async def slow() -> Any:
        yield b"{"
        await came.wait()

    answer = await api.post(JOBS, data=slow(), headers=JSON)
    came.set()
    assert (answer.status, answer.kind) == (408, "request-timeout")


@pytest.mark.parametrize("error", [ConnectionResetError, web.RequestPayloadError])
async def test_a_body_that_breaks_off_is_no_failure_of_the_server(
    api: Api, error: type[Exception]
) -> None:
    with patch.object(web.Request, "read", side_effect=error("lost")):
        answer = await api.post(JOBS, json=NEW_JOB)
    assert (answer.status, answer.kind) == (400, "invalid-request")


async def test_a_heap_of_errors_is_counted(api: Api) -> None:
    answer = await api.post(JOBS, json={f"k{number}": 1 for number in range(20_000)})
    assert answer.status == 400
    assert "20002 fields" in answer.problem


async def test_unknown_paths_and_methods_are_named(api: Api) -> None:
    answer = await api.get("/api/v2/jobs")
    assert (answer.status, answer.kind) == (404, "not-found")
    assert "/api/v2/jobs" in answer.problem
    answer = await api.ask("DELETE", JOBS)
    assert (answer.status, answer.kind) == (405, "method-not-allowed")
    assert {"GET", "POST"} <= set(answer.headers["Allow"].split(","))


@pytest.mark.parametrize(
    ("path", "status"), [("uploads/", 404), ("uploads/team/app.tar", 404), ("uploads", 405)]
)
async def test_an_upload_without_a_name_is_told_how_to_name_it(
    api: Api, path: str, status: int
) -> None:
    answer = await api.ask("PUT", f"/api/v1/{path}", data=b"abc")
    assert answer.status == status
    assert (
        "with a name, such as /api/v1/uploads/app.tar; any name without a slash" in answer.problem
    )


async def test_errors_name_no_value_that_may_be_secret(api: Api) -> None:
    for fields in (
        {"id": "s3cret "},
        {"labels": {"a": ["s3cret"]}},
        {"targets": [["s3cret"]]},
        {"targets": ["https://user:s3cret@reg.example.com/app:1"]},
        {"targets": ["user:s3cret@reg.example.com/app:1"]},
    ):
        answer = await api.post(JOBS, json={**NEW_JOB, **fields})
        assert answer.status == 400
        assert "s3cret" not in answer.problem


async def test_answers_are_not_kept_nor_framed(api: Api) -> None:
    for answer in (await api.get(JOBS), await api.get("/nothing")):
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]


# What is behind it


async def test_redis_away_is_said_and_the_server_stays(
    api: Api, server: fakeredis.FakeServer
) -> None:
    server.connected = False
    for answer in (
        await api.post(JOBS, json=NEW_JOB),
        await api.get(JOBS),
        await api.get(f"{JOBS}/x"),
        await api.post(f"{JOBS}/x/cancel"),
        await api.post(f"{JOBS}/x/retry"),
        await api.get("/api/v1/workers"),
        await api.get("/readyz"),
    ):
        assert (answer.status, answer.kind) == (503, "redis-unavailable")
        assert answer.headers["Retry-After"] == str(RETRY_AFTER_SECONDS)
    assert (await api.get("/healthz")).body == {"status": "ok"}


async def test_the_server_is_ready(api: Api) -> None:
    assert (await api.get("/readyz")).body == {"status": "ok"}


async def test_workers_are_listed(api: Api, stores: Stores) -> None:
    assert (await api.get("/api/v1/workers")).body == {"workers": []}
    started = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
    worker = WorkerInfo(id="host:1", host="host", pid=1, version="0.1", started_at=started)
    await WorkerRoster(stores.database).report(worker, 30)
    answer = await api.get("/api/v1/workers")
    assert answer.body == {"workers": [worker.model_dump(mode="json")]}


@pytest.mark.parametrize("error", [ZeroDivisionError, QueueError])
async def test_what_nobody_expected_costs_one_request(
    api: Api, queue: PushQueue, caplog: pytest.LogCaptureFixture, error: type[Exception]
) -> None:
    with patch.object(queue, "workers", side_effect=error("s3cret")):
        answer = await api.get("/api/v1/workers")
    assert (answer.status, answer.kind) == (500, "internal-error")
    assert "s3cret" not in answer.problem
    assert any(record.levelno == logging.ERROR for record in caplog.records)
    assert (await api.get("/api/v1/workers")).status == 200
