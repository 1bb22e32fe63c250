"""The ACLs of docs/explanation/security.md: they allow each role its work, and no more."""

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from producer import JobState, PushQueue, load_settings
from push_queue.figures.metrics import Ended, QueueReport
from push_queue.models.job_filter import JobFilter
from push_queue.sessions import Sessions
from tests.support.big_images import write_big_archive
from tests.support.commands import push_queue
from tests.support.processes import ManagedProcess, free_port
from tests.support.proxy import FaultProxy, is_patch
from tests.support.redis_client import Redis
from tests.support.servers import (
    REPOSITORY_ROOT,
    RedisServer,
    clean_environment,
    wait_for_worker,
    worker_process,
)
from tests.support.webhooks import setting

pytestmark = pytest.mark.integration

DIGEST = "sha256:" + "1" * 64
TOKEN_HASH = "2" * 64


def acl_lines() -> list[str]:
    text = (REPOSITORY_ROOT / "docs/explanation/security.md").read_text()
    return [line for line in text.splitlines() if line.startswith("ACL SETUSER ")]


class Site:
    """A Redis with the documented users."""

    def __init__(self, server: RedisServer) -> None:
        self._port = server.port
        with server.client() as client:
            for line in acl_lines():
                assert client.execute_command(*line.split())
        self.admin: Redis = redis.Redis.from_url(self.url("admin"), decode_responses=True)

    def url(self, user: str) -> str:
        return f"redis://{user}:{user.upper()}_PASSWORD@127.0.0.1:{self._port}/0"

    def client(self, user: str) -> redis.Redis:
        return redis.Redis.from_url(self.url(user), decode_responses=True)

    def run(self, user: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return push_queue(*arguments, env=clean_environment(PUSH_QUEUE_REDIS_URL=self.url(user)))

    def run_worker(self, user: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [sys.executable, "-m", "worker", *arguments],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
            env=clean_environment(PUSH_QUEUE_REDIS_URL=self.url(user)),
        )

    def output(self, user: str, *arguments: str) -> str:
        done = self.run(user, *arguments)
        assert done.returncode == 0, (done.stderr, self.refused())
        return done.stdout

    def refused(self) -> list[str]:
        """The denied commands of all users."""
        return [f"{entry['username']}: {entry['object']}" for entry in self.admin.acl_log()]


@pytest.fixture
def site(start_redis: Callable[[], RedisServer]) -> Iterator[Site]:
    site = Site(start_redis())
    yield site
    site.admin.close()


@pytest.fixture
def fleet(site: Site, tmp_path: Path) -> Iterator[ManagedProcess]:
    settings = {
        "PUSH_QUEUE_REDIS_URL": site.url("worker"),
        "PUSH_QUEUE_SOURCE_ROOTS": str(tmp_path),
        "PUSH_QUEUE_WEBHOOKS": setting(ci={"url": f"http://127.0.0.1:{free_port()}"}),
    }
    with worker_process(tmp_path / "worker.log", settings) as process:
        wait_for_worker(process, site.url("admin"), "push")
        yield process


async def look(redis_url: str) -> None:
    """What the HTTP API reads besides."""
    async with PushQueue.connect(load_settings(redis_url=redis_url)) as queue:
        await queue.ping()
        assert (await queue.find(JobFilter(state=JobState.SUCCEEDED))).jobs
        events, last = await queue.events(await queue.first_event(), wait=0.1)
        assert events
        assert last == await queue.last_event()
        assert await queue.registries() == ()
        assert await queue.throughput()
        figures = await QueueReport(queue.database, 50).read()
        assert figures.housekeeper_seconds > 0
        assert Ended("cancelled", "") in figures.ended


async def log_in_and_out(redis_url: str) -> None:
    async with PushQueue.connect(load_settings(redis_url=redis_url)) as queue:
        sessions = Sessions(queue.database)
        secret = await sessions.begin(TOKEN_HASH)
        assert await sessions.token_of(secret) == TOKEN_HASH
        await sessions.close(secret)
        assert await sessions.token_of(secret) is None


def test_everybody_can_work(
    site: Site, fleet: ManagedProcess, tmp_path: Path, registry_host: str, repository: str
) -> None:
    tar = write_big_archive(tmp_path / "app.tar", [3_000_000, 2_000_000]).path
    target = f"{registry_host}/{repository}:1"
    to = ["enqueue", str(tar), "--to", target]
    site.output("producer", *to, "--id", "late", "--delay", "1h", "--priority", "high")
    site.output("producer", "cancel", "late")
    site.output("producer", *to, "--id", "one", "--wait")
    away = [item for _ in "ab" for item in ("--to", f"127.0.0.1:{free_port()}/app:1")]
    site.output("producer", "enqueue", str(tar), *away, "--id", "waits")
    fleet.wait_ready(lambda: bool(site.admin.hexists("push:job:waits", "waiting_at")))
    site.output("producer", "cancel", "waits")
    site.output("producer", *to, "--id", "two", "--cleanup", "--wait")
    for user in ("producer", "dashboard"):
        (hook,) = json.loads(site.output(user, "webhooks", "--json"))
        assert hook["waiting"] == 4
    status = json.loads(site.output("dashboard", "status", "two", "--json"))
    assert (status["state"], status["cleanup_outcome"]) == ("succeeded", "deleted")
    site.output("producer", "retry", "late")
    site.output("producer", "watch", "late")
    for user in ("producer", "dashboard"):
        assert "one" in site.output(user, "list")
        site.output(user, "watch", "one")
        asyncio.run(look(site.url(user)))
    asyncio.run(log_in_and_out(site.url("producer")))
    assert fleet.terminate() == 0
    assert site.refused() == []


def test_nobody_can_do_more(site: Site, tmp_path: Path, registry_host: str) -> None:
    producer, dashboard = site.client("producer"), site.client("dashboard")
    with producer, dashboard:
        attempts: tuple[Callable[[], object], ...] = (
            lambda: producer.set(f"push:layer:{DIGEST}:gzip", "{}"),
            lambda: producer.set("push:upload:reg.example.com/app:x", "http://169.254.169.254/"),
            lambda: producer.sadd(f"push:blob:reg.example.com:{DIGEST}", "other"),
            lambda: producer.hset("push:tag:reg.example.com/app:1", "sequence", "1"),
            lambda: producer.set("other:key", "x"),
            lambda: producer.delete("push:worker:x"),
            lambda: dashboard.hset("push:job:x", "state", "succeeded"),
            lambda: dashboard.publish("push:progress:x", "{}"),
            lambda: dashboard.get("other:key"),
            lambda: site.client("worker").get("other:key"),
            *(site.client(user).flushall for user in ("producer", "worker")),
        )
        for forbidden in attempts:
            with pytest.raises(redis.exceptions.NoPermissionError):
                forbidden()
    tar = write_big_archive(tmp_path / "app.tar", [1000]).path
    done = site.run("dashboard", "enqueue", str(tar), "--to", f"{registry_host}/app:1")
    assert done.returncode == 3
    assert "ACL" in done.stderr
    assert not site.admin.keys("*")
    with pytest.raises(redis.exceptions.AuthenticationError):
        redis.Redis(port=site._port).ping()


@pytest.mark.parametrize("arguments", [(), ("--burst",)])
def test_a_worker_that_may_not_take_jobs_ends_and_says_so(
    site: Site, arguments: tuple[str, ...]
) -> None:
    done = site.run_worker("dashboard", *arguments)
    assert done.returncode == 3
    assert done.stderr.splitlines()[-1].startswith("push-worker: error: Redis at ")
    assert "ACL" in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr


async def test_a_worker_that_loses_its_rights_hands_over_and_says_so(
    site: Site, tmp_path: Path, registry_url: str, repository: str
) -> None:
    tar = write_big_archive(tmp_path / "app.tar", [3_000_000]).path
    settings = {"PUSH_QUEUE_REDIS_URL": site.url("worker"), "PUSH_QUEUE_LEASE_SECONDS": "1"}
    admin = load_settings(redis_url=site.url("admin"))
    async with FaultProxy(registry_url) as proxy, PushQueue.connect(admin) as queue:
        held = proxy.hold(is_patch, after=1_000_000)
        with worker_process(tmp_path / "denied.log", settings) as denied:
            job = await queue.enqueue(tar, [f"{proxy.host}/{repository}:1"])
            await held.reached.wait()
            site.admin.acl_setuser("worker", enabled=True, reset_keys=True)
            assert await asyncio.to_thread(denied.wait) == 3
        *_, last = denied.log.splitlines()
        assert last.startswith("push-worker: error: Redis at ")
        assert "ACL" in last
        assert "Traceback" not in denied.log
        assert denied.log.count("cannot take jobs") == 1
        held.release()
        with worker_process(
            tmp_path / "other.log", settings | {"PUSH_QUEUE_REDIS_URL": site.url("admin")}
        ):
            assert (await queue.wait(job.id, timeout=60)).state is JobState.SUCCEEDED


def test_operators_pause_and_purge_and_all_others_only_see_it(site: Site) -> None:
    enqueue = ("enqueue", "/a.tar", "--remote-path", "--to", "localhost:1/app:1", "--id", "a")
    with redis.Redis.from_url(site.url("admin")) as admin:
        admin.sadd("push:webhooks", "ci")
        admin.hset("push:webhook:ci", mapping={"origin": "https://ci", "states": "failed"})
    for arguments in (
        enqueue,
        ("pause", "--reason", "새 디스크"),
        ("registries", "pause", "localhost:1"),
        ("cancel", "a"),
        ("purge", "--state", "cancelled", "--yes"),
        ("purge", "--registry-knowledge", "localhost:1", "--yes"),
        ("purge", "--webhook", "ci", "--yes"),
    ):
        done = site.run("operator", *arguments)
        assert done.returncode == 0, done.stderr
    assert site.refused() == []
    for user in ("producer", "dashboard"):
        assert "새 디스크" in site.run(user, "stats").stdout
        assert "localhost:1" in site.run(user, "registries").stdout
        assert site.run(user, "workers").returncode == 0
    assert site.refused() == []
    for user in ("producer", "dashboard"):
        for what in (("resume",), ("pause",), ("registries", "resume", "localhost:1")):
            done = site.run(user, *what)
            assert (done.returncode, "ACL" in done.stderr) == (3, True), done.stderr
    assert "새 디스크" in site.run("operator", "stats").stdout
    for what in (("resume",), ("registries", "resume", "localhost:1")):
        assert site.run("operator", *what).returncode == 0
