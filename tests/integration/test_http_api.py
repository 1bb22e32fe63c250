"""The HTTP API as a pipeline uses it: `push-queue serve`, curl, a worker, a registry."""

import asyncio
import json
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from push_queue.settings.api_tokens import hash_of
from tests.support.api_server import Serve
from tests.support.images import ARCHIVES
from tests.support.oidc_issuer import AUDIENCE, OidcIssuer
from tests.support.processes import ManagedProcess, require_program
from tests.support.servers import RedisServer, clean_environment
from tests.support.skopeo import skopeo_inspect

pytestmark = pytest.mark.integration

TOKEN = "pq_a-token-for-tests"
SHA256 = hash_of(TOKEN)


def test_a_job_enqueued_by_curl_is_pushed(
    serve: Serve,
    worker: Callable[..., ManagedProcess],
    tmp_path: Path,
    registry_host: str,
    repository: str,
) -> None:
    server = serve()
    worker()
    target = f"{registry_host}/{repository}:1"
    body = json.dumps({"source": str(ARCHIVES["docker-oci"](tmp_path).path), "targets": [target]})
    options = ("-H", "Content-Type: application/json", "-H", "Idempotency-Key: b1", "-d", body)
    status, job = server.curl("/api/v1/jobs", *options)
    assert (status, job["id"]) == (202, "b1")
    status, job = server.curl("/api/v1/jobs/b1?wait=60")
    assert (status, job["state"], job["error"]) == (200, "succeeded", None)
    assert skopeo_inspect(target)["Digest"] == job["digest"]
    assert {blob["how"] for blob in job["blobs"]} == {"uploaded"}
    status, page = server.curl(f"/api/v1/jobs?state=succeeded&repository={repository}")
    assert [found["id"] for found in page["jobs"]] == ["b1"]
    assert len(server.curl("/api/v1/workers")[1]["workers"]) == 1
    # The same again, as a pipeline that heard no answer sends it.
    assert server.curl("/api/v1/jobs", *options)[1]["state"] == "succeeded"


def test_a_job_is_followed_by_curl(
    serve: Serve,
    worker: Callable[..., ManagedProcess],
    tmp_path: Path,
    registry_host: str,
    repository: str,
) -> None:
    server = serve()
    source = str(ARCHIVES["docker-oci"](tmp_path).path)
    body = json.dumps(
        {"id": "b1", "source": source, "targets": [f"{registry_host}/{repository}:1"]}
    )
    server.curl("/api/v1/jobs", "-H", "Content-Type: application/json", "-d", body)
    command = [require_program("curl"), "-sSN", "-m", "60", f"{server.url}/api/v1/jobs/b1/events"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as follower:
        worker()
        # The server ends the stream when nothing more can come.
        output, _ = follower.communicate(timeout=60)
    # Progress comes in between, if the push takes long enough.
    told = re.findall(r"^event: (job|progress)\ndata: (.*)$", output, re.MULTILINE)
    assert {json.loads(data)["id"] for _, data in told} == {"b1"}
    states = [json.loads(data)["state"] for event, data in told if event == "job"]
    assert states[-1] == "succeeded"


def test_many_streams_cost_redis_one_reader(
    serve: Serve, start_redis: Callable[[], RedisServer]
) -> None:
    redis = start_redis()
    server = serve(PUSH_QUEUE_REDIS_URL=redis.url)
    request = b"GET /api/v1/events HTTP/1.1\r\nHost: localhost\r\n\r\n"
    new_job = '{"id": "b1", "source": "/app.tar", "targets": ["localhost:1/app:1"]}'
    with ExitStack() as stack:
        streams = []
        for _ in range(100):
            stream = stack.enter_context(
                socket.create_connection(("127.0.0.1", server.port), timeout=60)
            )
            stream.sendall(request)
            file = stack.enter_context(stream.makefile("rb"))
            assert any(line.startswith(b"retry:") for line in file)
            streams.append(file)
        server.curl("/api/v1/jobs", "-H", "Content-Type: application/json", "-d", new_job)
        for file in streams:
            assert any(line.startswith(b"data:") and b'"b1"' in line for line in file)
        with redis.client() as client:
            # Between two reads it is none.
            redis.process.wait_ready(lambda: client.info("clients")["blocked_clients"] == 1)
        server.process.signal(signal.SIGTERM)
        for file in streams:
            assert b"data:" not in file.read()
    assert server.process.wait(timeout=60) == 0


def test_redis_goes_and_comes_back(serve: Serve, start_redis: Callable[[], RedisServer]) -> None:
    redis = start_redis()
    server = serve(PUSH_QUEUE_REDIS_URL=redis.url)
    new_job = '{"id": "b1", "source": "/app.tar", "targets": ["localhost:1/app:1"]}'
    options = ("-H", "Content-Type: application/json", "-d", new_job)
    assert server.curl("/api/v1/jobs", *options)[0] == 202
    redis.kill()
    status, problem = server.curl("/api/v1/jobs/b1")
    assert (status, problem["type"]) == (503, "urn:push-queue:problem:redis-unavailable")
    assert server.curl("/readyz")[0] == 503
    assert server.curl("/healthz")[0] == 200
    redis.start()
    server.becomes("/readyz", 200)
    assert server.curl("/api/v1/jobs", *options)[0] == 202
    # Events from now on arrive again.
    with subprocess.Popen(
        ["curl", "-sS", "-m", "60", f"{server.url}/api/v1/jobs/b1?wait=60"], stdout=subprocess.PIPE
    ) as waiting:
        assert server.curl("/api/v1/jobs/b1/cancel", "-X", "POST")[0] == 200
        answer, _ = waiting.communicate(timeout=60)
    assert json.loads(answer)["state"] == "cancelled"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_server_that_is_told_to_stop_answers_what_is_under_way(
    serve: Serve, number: signal.Signals
) -> None:
    server = serve()
    new_job = '{"id": "b1", "source": "/app.tar", "targets": ["localhost:1/app:1"]}'
    server.curl("/api/v1/jobs", "-H", "Content-Type: application/json", "-d", new_job)
    with socket.create_connection(("127.0.0.1", server.port), timeout=60) as waiting:
        request = b"GET /api/v1/jobs/b1?wait=300 HTTP/1.1\r\nHost: localhost\r\n\r\n"
        # Two at once: the first has been taken when the second is answered.
        waiting.sendall(request)
        server.curl("/api/v1/jobs/b1?wait=0.1")
        server.process.signal(number)
        assert b"200 OK" in waiting.recv(65536)
    assert server.process.wait(timeout=60) == 0
    assert "Traceback" not in server.process.log
    assert "wait=" not in server.process.log


def test_an_address_in_use_is_said_in_one_line(
    serve: Serve, tmp_path: Path, redis_url: str
) -> None:
    server = serve()
    done = subprocess.run(
        [sys.executable, "-m", "producer", "serve", "--port", str(server.port)],
        env=clean_environment(PUSH_QUEUE_REDIS_URL=redis_url),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"push-queue: error: cannot listen at 127.0.0.1:{server.port}")
    assert "--port" in line


def test_with_tokens_it_serves_those_who_have_one_under_any_name(
    serve: Serve, tmp_path: Path
) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-m", "producer", "token", "ci"),
            *("--role", "enqueue", "--target", "reg.example.com/team/*"),
        ],
        env=clean_environment(),
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    token, tokens = done.stdout.strip(), done.stderr.splitlines()[-1]
    server = serve(PUSH_QUEUE_API_TOKENS=tokens)
    bearer = ("-H", f"Authorization: Bearer {token}", "-H", "Host: push.example.com")

    def enqueue(target: str, *options: str) -> tuple[int, Any]:
        body = json.dumps({"id": "b1", "source": "/app.tar", "targets": [target]})
        return server.curl(
            "/api/v1/jobs", "-H", "Content-Type: application/json", "-d", body, *options
        )

    status, problem = enqueue("reg.example.com/team/app:1")
    assert (status, problem["type"]) == (401, "urn:push-queue:problem:token-missing")
    status, problem = enqueue("reg.example.com/others/app:1", *bearer)
    assert (status, problem["type"]) == (403, "urn:push-queue:problem:target-not-allowed")
    assert enqueue("reg.example.com/team/app:1", *bearer)[0] == 202
    job = server.curl("/api/v1/jobs/b1", *bearer)[1]
    assert (job["state"], job["enqueued_by"]) == ("queued", "ci")
    assert server.curl(f"/api/v1/jobs/b1?access_token={token}")[0] == 401
    server.process.terminate()
    assert re.search(r"GET /api/v1/jobs/b1 200 \S+ s by ci$", server.process.log, re.MULTILINE)
    assert token not in server.process.log


async def test_a_ci_system_needs_no_secret(serve: Serve) -> None:
    async with OidcIssuer() as issuer:
        rule = {
            "claims": {"repository": "acme/app"},
            "role": "enqueue",
            "targets": ["reg.example.com/team/*"],
        }
        ci = {"issuer": issuer.url, "audience": AUDIENCE, "rules": [rule]}
        server = await asyncio.to_thread(serve, PUSH_QUEUE_API_OIDC=json.dumps({"ci": ci}))

        async def enqueue(token: str) -> tuple[int, Any]:
            job = {"id": "b1", "source": "/app.tar", "targets": ["reg.example.com/team/app:1"]}
            return await asyncio.to_thread(
                server.curl,
                "/api/v1/jobs",
                *("-H", f"Authorization: Bearer {token}"),
                *("-H", "Content-Type: application/json"),
                *("-d", json.dumps(job)),
            )

        tokens = [issuer.token(), issuer.token(exp=1), issuer.token(repository="evil/app")]
        status, job = await enqueue(tokens[0])
        assert (status, job["enqueued_by"]) == (202, "ci:repo:acme/app:ref:refs/heads/main")
        status, problem = await enqueue(tokens[1])
        assert (status, problem["type"]) == (401, "urn:push-queue:problem:token-invalid")
        status, problem = await enqueue(tokens[2])
        assert (status, problem["type"]) == (403, "urn:push-queue:problem:claims-not-allowed")
    server.process.terminate()
    for token in tokens:
        for part in token.split("."):
            assert part not in server.process.log


def test_a_browser_logs_in_and_cancels_in_bulk(serve: Serve, tmp_path: Path) -> None:
    tokens = {"team": {"role": "enqueue", "targets": ["reg.example.com/team/*"], "sha256": SHA256}}
    server = serve(PUSH_QUEUE_API_TOKENS=json.dumps(tokens))
    cookies = str(tmp_path / "cookies")
    browser = ("-b", cookies, "-c", cookies, "-H", f"Origin: {server.url}")
    as_json = ("-H", "Content-Type: application/json", "-d")

    status, session = server.curl(
        "/api/v1/session", *browser, *as_json, json.dumps({"token": TOKEN})
    )
    assert (status, session["name"]) == (201, "team")
    assert TOKEN not in Path(cookies).read_text()
    jobs = [
        {
            "id": f"b{number}",
            "source": "/app.tar",
            "targets": [f"reg.example.com/team/app:{number}"],
        }
        for number in range(3)
    ]
    assert server.curl("/api/v1/jobs", *browser, *as_json, json.dumps(jobs))[0] == 202
    status, page = server.curl("/api/v1/jobs/cancel?state=queued&limit=2", *browser, "-X", "POST")
    assert (status, [job["id"] for job in page["jobs"]]) == (200, ["b2", "b1"])
    assert {(job["state"], job["cancelled_by"]) for job in page["jobs"]} == {("cancelled", "team")}
    status, rest = server.curl(
        f"/api/v1/jobs/cancel?state=queued&cursor={page['next']}", *browser, "-X", "POST"
    )
    assert [job["id"] for job in rest["jobs"]] == ["b0"]
    assert server.curl("/api/v1/session", *browser)[0] == 200
    kept = Path(cookies).read_text()
    Path(cookies).with_suffix(".kept").write_text(kept)
    assert server.curl("/api/v1/session", *browser, "-X", "DELETE") == (204, None)
    assert server.curl("/api/v1/session", *browser)[1]["type"].endswith(":token-missing")
    stolen = server.curl("/api/v1/session", "-b", f"{cookies}.kept")
    assert stolen[1]["type"].endswith(":session-unknown")
    server.process.terminate()
    assert TOKEN not in server.process.log
