"""Everything that the system emits while it signs in, searched for every secret that it knows."""

import asyncio
import base64
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from urllib.parse import quote

import pytest

from producer import PushQueue, load_settings
from tests.support.commands import push_queue
from tests.support.connect_proxy import ConnectProxy
from tests.support.credential_helper import CredentialHelper, in_path
from tests.support.images import ARCHIVES
from tests.support.logins import Login
from tests.support.processes import free_port
from tests.support.redis_client import Redis
from tests.support.servers import (
    HTPASSWD_PASSWORD,
    HTPASSWD_USER,
    RedisServer,
    Registry,
    StartWorker,
    clean_environment,
)
from tests.support.token_server import TokenServer

pytestmark = pytest.mark.integration

GOOD = Login(HTPASSWD_USER, HTPASSWD_PASSWORD)
WRONG = Login(HTPASSWD_USER, "wrong horse")
IDENTITY_TOKEN = "refresh-me-if-you-can"
HELPER_SECRET = "told by no helper"
PROXY = Login("walker", "through-the-wall")
REDIS_PASSWORD = "remember/nothing"


@contextmanager
def monitored(server: RedisServer) -> Iterator[list[str]]:
    """All commands that Redis gets meanwhile; complete when the block has ended."""
    commands: list[str] = []
    with server.client() as client, client.monitor() as monitor:
        yield commands
        client.echo("the end")
        for command in monitor.listen():
            if command["command"] == "ECHO the end":
                return
            commands.append(command["command"])


def dump(client: Redis) -> str:
    """Every key with its value."""
    read: dict[str, Callable[[str], object]] = {
        "string": client.get,
        "hash": client.hgetall,
        "list": lambda key: client.lrange(key, 0, -1),
        "set": client.smembers,
        "zset": lambda key: client.zrange(key, 0, -1, withscores=True),
        "stream": client.xrange,
    }
    return "\n".join(f"{key} {read[client.type(key)](key)}" for key in client.scan_iter())


def command_line(pid: int) -> str:
    return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode()


def printed(env: dict[str, str], *arguments: str) -> str:
    """What `push-queue` prints, on both channels."""
    done = push_queue(*arguments, env=clean_environment(**env))
    return done.stdout + done.stderr


def traces(secret: str) -> set[str]:
    """The forms in which a secret may leak: as it is, in a URL, in JSON, after a user name."""
    return {secret, quote(secret, safe=""), json.dumps(secret)[1:-1]}


def basic_of(login: Login) -> str:
    return base64.b64encode(f"{login.username}:{login.password}".encode()).decode()


def secrets(tokens: TokenServer) -> set[str]:
    return {
        *(trace for login in (GOOD, WRONG, PROXY) for trace in traces(login.password)),
        *(basic_of(login) for login in (GOOD, WRONG, PROXY)),
        *traces(IDENTITY_TOKEN),
        *traces(HELPER_SECRET),
        *traces(REDIS_PASSWORD),
        *traces("forgot/nothing"),
        *tokens.issued,
    }


@dataclass(frozen=True)
class Registries:
    """Registries that are signed in to in every way."""

    environment: dict[str, str]
    """What a worker needs for it."""
    outcomes: dict[str, str | None]
    """By target the kind of the error, if there is one."""
    tokens: TokenServer


@pytest.fixture
async def registries(
    tmp_path: Path,
    start_registry: Callable[..., Registry],
    monkeypatch: pytest.MonkeyPatch,
) -> AsyncIterator[Registries]:
    folder = in_path(tmp_path, monkeypatch)
    keeper = CredentialHelper(folder, "keeper")
    failing = CredentialHelper(folder, "failing")
    failing.write(f"#!/bin/sh\necho '{HELPER_SECRET}'\necho '{HELPER_SECRET}' >&2\nexit 1")
    async with (
        TokenServer(tmp_path / "t1", login=GOOD, refresh_token=IDENTITY_TOKEN) as tokens,
        TokenServer(tmp_path / "t2", login=GOOD) as broken_tokens,
        ConnectProxy({}, login=Login(PROXY.username, "something else")) as proxy,
    ):
        broken_tokens.down = True
        passwords = start_registry(htpasswd=True)
        with_tokens = start_registry(token_server=tokens)
        without_tokens = start_registry(token_server=broken_tokens)
        nowhere = f"127.0.0.1:{free_port()}"
        keeper.keep({with_tokens.host: ("<token>", IDENTITY_TOKEN)})
        logins = {
            passwords.host: GOOD,
            f"{passwords.host}/wrong": WRONG,
            without_tokens.host: GOOD,
            nowhere: GOOD,
            "registry.test": GOOD,
        }
        auth = {h: {"username": w.username, "password": w.password} for h, w in logins.items()}
        helped = passwords.host.replace("127.0.0.1", "localhost")
        helpers = {with_tokens.host: keeper.name, helped: failing.name}
        (tmp_path / "config.json").write_text(json.dumps({"credHelpers": helpers}))
        environment = {
            "DOCKER_CONFIG": str(tmp_path),
            "HTTPS_PROXY": f"http://{PROXY.username}:{PROXY.password}@{proxy.host}",
            "PUSH_QUEUE_REGISTRY_AUTH": json.dumps(auth),
        }
        outcomes = {
            f"{passwords.host}/app:1": None,
            f"{with_tokens.host}/app:1": None,
            f"{passwords.host}/wrong/app:1": "unauthorized",
            f"{helped}/app:1": "unauthorized",
            f"{without_tokens.host}/app:1": "registry_unavailable",
            f"{nowhere}/app:1": "registry_unavailable",
            "registry.test/app:1": "proxy",
        }
        yield Registries(environment, outcomes, tokens)


@pytest.fixture
def server(start_redis: Callable[[], RedisServer]) -> RedisServer:
    """A Redis with a password."""
    server = start_redis()
    with server.client() as client:
        client.config_set("requirepass", REDIS_PASSWORD)
    server.url = f"redis://:{quote(REDIS_PASSWORD, safe='')}@127.0.0.1:{server.port}/0"
    return server


@pytest.mark.parametrize("log_format", ["text", "json"])
async def test_no_secret_is_emitted(
    log_format: str,
    tmp_path: Path,
    namespace: str,
    worker: StartWorker,
    registries: Registries,
    server: RedisServer,
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    env = {"PUSH_QUEUE_REDIS_URL": server.url, "PUSH_QUEUE_NAMESPACE": namespace}
    with monitored(server) as commands:
        process = worker(
            **env,
            **registries.environment,
            PUSH_QUEUE_LOG_LEVEL="debug",
            PUSH_QUEUE_LOG_FORMAT=log_format,
            PYTHONASYNCIODEBUG="1",
        )
        settings = load_settings(redis_url=server.url, namespace=namespace)
        emitted = [command_line(process.pid), repr(settings)]
        async with PushQueue.connect(settings) as queue:
            jobs = [
                await queue.enqueue(archive.path, target, give_up_after=timedelta(seconds=1))
                for target in registries.outcomes
            ]
            done = [await queue.wait(job.id, timeout=60) for job in jobs]
        outcomes = {job.targets[0]: job.error_kind for job in done}
        assert outcomes == registries.outcomes, [job.error for job in done]
        emitted += map(repr, done)
        wrong = {**env, "PUSH_QUEUE_REDIS_URL": server.url.replace("remember", "forgot")}
        emitted += await asyncio.gather(
            asyncio.to_thread(printed, env, "list"),
            asyncio.to_thread(printed, env, "list", "--json"),
            asyncio.to_thread(printed, env, "status", done[2].id),
            asyncio.to_thread(printed, wrong, "list"),
        )
    with server.client() as client:
        emitted.append(dump(client))
    await asyncio.to_thread(process.terminate)
    emitted += [process.log, *commands]
    everything = "\n".join(emitted)
    assert all(job.id in everything for job in done)
    assert registries.tokens.issued
    assert [secret for secret in secrets(registries.tokens) if secret in everything] == []
