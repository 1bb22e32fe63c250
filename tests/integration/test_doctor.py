"""`push-queue doctor` beside broken set-ups: each is named, with what to do about it."""

import json
import subprocess
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from producer import PushQueue
from producer.doctor.examination import examine
from producer.doctor.finding import Finding, Severity
from producer.doctor.registry import Place
from producer.operator import Operator
from push_queue.settings import Settings
from push_queue.settings.api_tokens import hash_of
from tests.support.api_server import Serve
from tests.support.certificates import Authority
from tests.support.commands import push_queue
from tests.support.local_server import LocalServer
from tests.support.processes import free_port
from tests.support.raw_server import RawServer
from tests.support.servers import (
    HTPASSWD_PASSWORD,
    HTPASSWD_USER,
    RedisServer,
    Registry,
    StartWorker,
    clean_environment,
)

pytestmark = pytest.mark.integration

StartRedis = Callable[[], RedisServer]
StartRegistry = Callable[..., Registry]
Answer = tuple[Any, ...]


async def findings(*places: str, **values: Any) -> list[Finding]:
    wanted = [Place.parse(place) for place in places]
    return [finding async for finding in examine(Settings(**values), wanted)]


def the_bad(found: list[Finding], subject: str) -> Finding:
    """What is wrong with a subject, and fails unless it is one thing."""
    (bad,) = [
        finding
        for finding in found
        if finding.subject == subject and finding.severity is not Severity.OK
    ]
    return bad


def assert_named(finding: Finding, severity: Severity, text: str, advice: str = "") -> None:
    assert finding.severity is severity
    assert text in finding.text
    assert advice in finding.advice
    assert "\n" not in finding.text + finding.advice


# Redis -------------------------------------------------------------------------------------------


async def test_a_redis_that_is_away_hides_nothing_else(registry_host: str, repository: str) -> None:
    url = f"redis://:secret@127.0.0.1:{free_port()}/0"
    found = await findings(f"{registry_host}/{repository}", redis_url=url)
    assert_named(the_bad(found, "Redis"), Severity.PROBLEM, "Connection refused")
    assert [finding.severity for finding in found[1:]] == [Severity.OK] * 2
    assert "secret" not in str(found)


async def test_a_wrong_password_of_redis(start_redis: StartRedis) -> None:
    server = start_redis()
    with server.client() as client:
        client.config_set("requirepass", "secret")
    try:
        found = await findings(redis_url=server.url.replace("://", "://:guess@"))
    finally:
        server.url = server.url.replace("://", "://:secret@")
    assert_named(the_bad(found, "Redis"), Severity.PROBLEM, "password")
    assert "guess" not in str(found)


@pytest.mark.parametrize(
    ("settings", "severity", "text", "advice"),
    [
        (
            {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"},
            Severity.PROBLEM,
            "evicts keys",
            "",
        ),
        ({"appendfsync": "everysec"}, Severity.WARNING, "last seconds", "appendfsync always"),
        ({"maxmemory": "5mb"}, Severity.WARNING, "room for about", "maxmemory"),
        ({"maxmemory": "1mb"}, Severity.PROBLEM, "room for about 0 more jobs", "maxmemory"),
        ({"replicaof": "127.0.0.1 1"}, Severity.PROBLEM, "replica", "redis+sentinel://"),
    ],
    ids=["evicts", "syncs late", "nearly full", "full", "replica"],
)
async def test_a_redis_that_is_set_up_badly(
    start_redis: StartRedis,
    settings: dict[str, str],
    severity: Severity,
    text: str,
    advice: str,
) -> None:
    server = start_redis()
    with server.client() as client:
        client.config_set("appendfsync", "always")
        for name, value in settings.items():
            if name == "replicaof":
                client.replicaof(*value.split())
            else:
                client.config_set(name, value)
    found = await findings(redis_url=server.url)
    assert_named(the_bad(found, "Redis"), severity, text, advice)


async def test_a_redis_that_writes_nothing_to_disk(start_redis: StartRedis) -> None:
    server = start_redis()
    with server.client() as client:
        client.config_set("appendonly", "no")
        client.config_set("save", "")
    found = await findings(redis_url=server.url)
    texts = [finding.text for finding in found if finding.subject == "Redis"]
    assert any(text.startswith("writes nothing to disk") for text in texts)
    assert not any("last seconds" in text for text in texts), "it is said once"


async def test_a_login_that_may_not_ask_for_facts(start_redis: StartRedis) -> None:
    server = start_redis()
    with server.client() as client:
        client.acl_setuser(
            "shy",
            enabled=True,
            passwords=["+x"],
            keys=["*"],
            channels=["*"],
            commands=["+@all", "-info", "-config"],
        )
    found = await findings(redis_url=server.url.replace("://", "://shy:x@"))
    assert_named(the_bad(found, "Redis"), Severity.WARNING, "may not run", "INFO")


# A server of the HTTP API ------------------------------------------------------------------------

TOKENS = {"ci": "pq_of-ci", "builder": "pq_of-builder"}
GRANTS = {
    "ci": {"role": "enqueue", "targets": ["*/*"], "sha256": hash_of(TOKENS["ci"])},
    "builder": {"role": "worker", "sha256": hash_of(TOKENS["builder"])},
}


async def of_server(url: str, token: str | None = None, **values: Any) -> list[Finding]:
    return [finding async for finding in examine(Settings(**values), [], (url, token))]


@pytest.mark.parametrize(
    ("token", "severity", "text", "advice"),
    [
        (TOKENS["ci"], Severity.OK, "takes the token, as ci with the role enqueue", ""),
        (TOKENS["builder"], Severity.OK, "takes the token, which is a worker's", ""),
        ("pq_guess", Severity.PROBLEM, "token", "`push-queue token`"),
        (None, Severity.PROBLEM, "the token is missing", "PUSH_QUEUE_TOKEN"),
    ],
    ids=["known", "a worker's", "unknown", "none"],
)
async def test_a_server_is_looked_at_in_place_of_redis(
    serve: Serve, token: str | None, severity: Severity, text: str, advice: str
) -> None:
    server = serve(PUSH_QUEUE_API_TOKENS=json.dumps(GRANTS))
    first, *others = await of_server(server.url, token)
    assert first.subject == "server"
    assert_named(first, severity, text, advice)
    ready = [finding.text for finding in others]
    assert [text.startswith("can work") for text in ready] == [True] * (severity is Severity.OK)
    assert "guess" not in first.text


class HalfServer(LocalServer):
    """A server of the HTTP API that cannot work."""

    def __init__(self) -> None:
        async def answer(request: web.BaseRequest) -> web.Response:
            if request.path == "/api/v1/session":
                return web.json_response({"name": None, "role": "admin", "targets": []})
            detail = "Redis does not answer; come again later"
            return web.json_response({"detail": detail}, status=503)

        super().__init__(web.ServerRunner(web.Server(answer)))


async def test_a_server_that_cannot_work() -> None:
    async with HalfServer() as server:
        good, bad = await of_server(server.url)
    assert_named(good, Severity.OK, "needs no token")
    assert_named(bad, Severity.PROBLEM, "Redis does not answer")


async def test_a_server_that_is_away_hides_nothing_else() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    redis_url = f"redis://127.0.0.1:{free_port()}"
    of_the_server, of_redis = await of_server(url, redis_url=redis_url)
    assert_named(of_the_server, Severity.PROBLEM, f"cannot reach {url}", "")
    assert of_redis.subject == "Redis"


async def test_what_is_no_server() -> None:
    async with Answering(404, "", "text/plain") as page:
        (found,) = await of_server(page.url)
    assert_named(found, Severity.PROBLEM, "is no server of a push queue")
    (found,) = await of_server("push.example.com")
    assert_named(found, Severity.PROBLEM, "is not the URL of a server", "--server or PUSH_QUEUE_")


# Workers -----------------------------------------------------------------------------------------


async def test_no_worker_for_a_job_that_waits(
    queue: PushQueue, redis_url: str, namespace: str
) -> None:
    found = await findings(redis_url=redis_url, namespace=namespace)
    assert_named(the_bad(found, "workers"), Severity.WARNING, "none runs, and 0 jobs wait")
    await queue.enqueue("/app.tar", "localhost:1/app:1")
    found = await findings(redis_url=redis_url, namespace=namespace)
    assert_named(the_bad(found, "workers"), Severity.PROBLEM, "1 job waits", "start push-worker")


async def test_workers_of_another_release(
    worker: StartWorker, shared_redis: RedisServer, redis_url: str, namespace: str
) -> None:
    worker()
    found = await findings(redis_url=redis_url, namespace=namespace)
    assert all(finding.severity is Severity.OK for finding in found if finding.subject == "workers")
    with shared_redis.client() as client:
        (key,) = client.scan_iter(f"{namespace}:worker:*")
        record = client.hgetall(key)
        record["id"], record["version"] = "old", "0.0.1"
        client.hset(f"{namespace}:worker:old", mapping=record)
        client.expire(f"{namespace}:worker:old", 60)
        client.zadd(f"{namespace}:workers", {"old": 4102444800})
    found = await findings(redis_url=redis_url, namespace=namespace)
    assert_named(the_bad(found, "workers"), Severity.WARNING, "1 of 0.0.1", "upgrade")


async def test_a_queue_that_a_person_has_paused(
    queue: PushQueue, redis_url: str, namespace: str
) -> None:
    await Operator(queue).pause(reason="the storage is moved")
    found = await findings(redis_url=redis_url, namespace=namespace)
    assert_named(the_bad(found, "queue"), Severity.WARNING, "storage is moved", "resume")


# Registries --------------------------------------------------------------------------------------


async def tried(place: str, **values: Any) -> list[Finding]:
    """What is found of a registry beside a Redis that is away."""
    found = await findings(place, redis_url=f"redis://127.0.0.1:{free_port()}", **values)
    return [finding for finding in found if finding.subject == place]


class Answering(LocalServer):
    """Answers ``/v2/`` with 200, and everything else in one way."""

    def __init__(self, status: int, body: str, content_type: str, root: bool = True) -> None:
        async def answer(request: web.BaseRequest) -> web.Response:
            if root and request.path == "/v2/":
                return web.json_response({})
            return web.Response(status=status, text=body, content_type=content_type)

        super().__init__(web.ServerRunner(web.Server(answer)))


def refusal(code: str) -> str:
    return json.dumps({"errors": [{"code": code, "message": "no"}]})


def files_of(folder: Path, pattern: str) -> list[Path]:
    return list(folder.glob(pattern))


async def test_a_registry_that_takes_uploads_is_left_as_it_was(
    start_registry: StartRegistry, tmp_path: Path
) -> None:
    registry = start_registry()
    found = await tried(f"{registry.host}/team/app")
    assert [finding.severity for finding in found] == [Severity.OK] * 2
    assert files_of(tmp_path, "**/_uploads")
    # distribution 2.8 keeps empty folders of a session that it has forgotten.
    assert not files_of(tmp_path, "**/_uploads/*/startedat")


async def test_a_registry_that_is_away() -> None:
    host = f"127.0.0.1:{free_port()}"
    (found,) = await tried(f"{host}/app")
    assert_named(found, Severity.PROBLEM, "Connection refused", "whether it runs")


async def test_a_certificate_that_nobody_trusts(
    start_registry: StartRegistry, authority: Authority, certs_dir: Path
) -> None:
    registry = start_registry(tls=authority.server())
    host = registry.host.replace("127.0.0.1", "localhost")
    # So that it is spoken to by TLS, although it is on the loopback.
    (certs_dir / host).mkdir()
    (found,) = await tried(f"{host}/app", registry_certs_dir=certs_dir)
    assert_named(found, Severity.PROBLEM, f"into {host}/ca.crt below PUSH_QUEUE_REGISTRY_CERTS_DIR")
    assert found.advice == ""  # The error says what to do.


@pytest.mark.parametrize("known", [True, False], ids=["wrong login", "no login"])
async def test_a_login_that_is_not_taken(start_registry: StartRegistry, known: bool) -> None:
    registry = start_registry(htpasswd=True)
    auth = {registry.host: {"username": "alice", "password": "guess"}} if known else {}
    for place in (f"{registry.host}/app", registry.host):
        found = await tried(place, registry_auth=auth)
        told = f"docker login {registry.host}"
        assert_named(found[-1], Severity.PROBLEM, told, "PUSH_QUEUE_REGISTRY_AUTH")
        assert "guess" not in str(found)


@pytest.mark.parametrize(
    ("answer", "text", "advice"),
    [
        ((403, refusal("DENIED"), "application/json"), "403", "the right to push to app"),
        ((404, refusal("NAME_UNKNOWN"), "application/json"), "create app", ""),
        ((200, "<html>", "text/html", False), "", "check that it is a registry"),
        ((404, "<html>", "text/html", False), "404", "check that it is a registry"),
        ((500, "oops", "text/plain"), "500", "see the registry's log"),
    ],
    ids=["denied", "no repository", "a page", "no registry", "broken"],
)
async def test_a_registry_that_refuses(answer: Answer, text: str, advice: str) -> None:
    async with Answering(*answer) as server:
        found = await tried(f"{server.host}/app")
    assert_named(found[-1], Severity.PROBLEM, text, advice)


@pytest.mark.parametrize(
    ("status", "told"), [(407, "http://user:password@host:port"), (403, "NO_PROXY")]
)
async def test_a_proxy_that_refuses(
    monkeypatch: pytest.MonkeyPatch, status: int, told: str
) -> None:
    async def refuse() -> AsyncIterator[bytes]:
        yield f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\n\r\n".encode()

    async with RawServer(refuse) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", proxy.url)
        (found,) = await tried("registry.test/app")
    assert_named(found, Severity.PROBLEM, told)
    assert found.advice == ""  # The error says what to do, and that has nothing to do with logins.


async def test_registries_with_a_login_are_asked_by_themselves(
    start_registry: StartRegistry,
) -> None:
    registry = start_registry(htpasswd=True)
    good = {"username": HTPASSWD_USER, "password": HTPASSWD_PASSWORD}
    found = await findings(
        redis_url=f"redis://127.0.0.1:{free_port()}", registry_auth={registry.host: good}
    )
    assert_named(found[-1], Severity.OK, "answers at", f"push-queue doctor {registry.host}/team")


# This machine ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "text", "advice"),
    [
        ({"source_roots": "/nowhere"}, "no such folder", "PUSH_QUEUE_SOURCE_ROOTS"),
        ({"spool": "/nowhere"}, "no such folder", "PUSH_QUEUE_SPOOL"),
        ({"spool": "/proc/version"}, "cannot be written", "let this user"),
        ({"spool": "/tmp", "spool_keep_free": "900PB"}, "are free on its disk", "KEEP_FREE"),
        ({"source_roots": "/proc/version"}, "cannot be read", "let this user"),
    ],
)
async def test_a_folder_that_cannot_be_used(values: dict[str, str], text: str, advice: str) -> None:
    found = await findings(redis_url=f"redis://127.0.0.1:{free_port()}", **values)
    assert_named(found[1], Severity.PROBLEM, text, advice)


# The command -------------------------------------------------------------------------------------


def doctor(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return push_queue("doctor", *arguments, env=clean_environment(**env))


def test_a_good_set_up(
    worker: StartWorker,
    start_redis: StartRedis,
    namespace: str,
    registry_host: str,
    repository: str,
    tmp_path: Path,
) -> None:
    server = start_redis()
    with server.client() as client:
        client.config_set("appendfsync", "always")
    env = {
        "PUSH_QUEUE_REDIS_URL": server.url,
        "PUSH_QUEUE_NAMESPACE": namespace,
        "PUSH_QUEUE_SOURCE_ROOTS": str(tmp_path),
    }
    worker(**env)
    done = doctor(f"{registry_host}/{repository}", **env)
    assert done.returncode == 0, done.stdout
    assert done.stderr == "nothing is wrong\n"
    lines = done.stdout.splitlines()
    assert all(line.startswith("ok  ") for line in lines)
    assert len(lines) == 6


def test_a_server_in_the_settings(serve: Serve) -> None:
    server = serve()
    done = doctor(PUSH_QUEUE_SERVER=server.url)
    assert (done.returncode, done.stderr) == (0, "nothing is wrong\n")
    assert [line.partition(": ")[0] for line in done.stdout.splitlines()] == ["ok       server"] * 2


def test_a_bad_set_up_is_exit_code_1() -> None:
    env = {"PUSH_QUEUE_REDIS_URL": f"redis://127.0.0.1:{free_port()}"}
    done = doctor(**env)
    assert done.returncode == 1
    assert done.stderr == "1 problem\n"
    assert done.stdout.startswith("problem  Redis: cannot reach Redis at ")
    assert "\x1b" not in done.stdout
    (finding,) = json.loads(doctor("--json", **env).stdout)
    assert finding["severity"] == "problem"


@pytest.mark.parametrize("place", ["not a repository", "app"])
def test_what_is_no_repository_is_refused(place: str) -> None:
    done = doctor(place)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert line.endswith("is no host of a registry, such as reg.example.com or localhost:5000")
