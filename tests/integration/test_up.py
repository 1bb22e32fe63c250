"""`push-queue up`: all parts as real processes, which are stopped and killed."""

import asyncio
import json
import os
import re
import signal
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import AbstractAsyncContextManager, ExitStack
from datetime import timedelta
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from producer import JobState, PushQueue, load_settings
from push_queue.models.job_status import Outcome
from tests.support.big_images import write_big_archive
from tests.support.images import ARCHIVES
from tests.support.processes import ManagedProcess, require_program
from tests.support.proxy import FaultProxy, is_patch
from tests.support.servers import RedisServer, clean_environment
from tests.support.skopeo import skopeo_inspect
from tests.support.waiting import becomes

pytestmark = [
    pytest.mark.integration,
    pytest.mark.skipif(sys.platform != "linux", reason="looks into /proc"),
]

LATER = timedelta(hours=1)
GRACE = "PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS"


class Up:
    """A `push-queue up` that says that it is up."""

    def __init__(self, process: ManagedProcess) -> None:
        self.process = process

    def said(self, label: str) -> str:
        found = re.search(rf"^ *{label}(.*)$", self.process.log, re.MULTILINE)
        assert found, self.process.log
        return found[1].strip()

    def ask(self, path: str, *options: str) -> Any:
        """The body of an answer to curl."""
        url = self.said("HTTP API").split("/api/v1/")[0]
        command = [require_program("curl"), "-sS", "-m", "60", *options, f"{url}/api/v1/{path}"]
        done = subprocess.run(command, capture_output=True, check=True, timeout=90)
        return json.loads(done.stdout)

    @property
    def redis_url(self) -> str:
        return self.said("export PUSH_QUEUE_REDIS_URL=")

    def parts(self) -> dict[int, str]:
        """What each of its children runs, by process id."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        return {int(child): kind for child in children if (kind := kind_of(int(child)))}

    def part(self, kind: str) -> int | None:
        return next((pid for pid, found in self.parts().items() if found == kind), None)

    def connect(self) -> AbstractAsyncContextManager[PushQueue]:
        return PushQueue.connect(load_settings(redis_url=self.redis_url))

    def listed(self) -> list[dict[str, Any]]:
        """The jobs that the HTTP API lists, as the page has it do."""
        with urlopen(self.said("Page"), timeout=60) as page:
            assert b"Push queue" in page.read()
        with urlopen(self.said("HTTP API").split()[0], timeout=60) as answer:
            jobs: list[dict[str, Any]] = json.load(answer)["jobs"]
        return jobs

    async def stop(self, number: int = signal.SIGINT) -> int:
        self.process.signal(number)
        return await asyncio.to_thread(self.process.wait)


def kind_of(pid: int) -> str | None:
    """`valkey` or `worker`; None for any other, and for one that has ended."""
    try:
        line = Path(f"/proc/{pid}/cmdline").read_bytes().decode()
    except (FileNotFoundError, ProcessLookupError):
        return None
    if "valkey-server" in line:
        return "valkey"
    return "worker" if line.endswith("-m\0worker\0") else None


def kept_in(home: Path) -> list[Path]:
    return list(home.iterdir())


async def ended(pids: list[int] | dict[int, str]) -> None:
    async def all_ended() -> bool:
        return not any(kind_of(pid) for pid in pids)

    await becomes(all_ended)


@pytest.fixture
def home() -> Iterator[Path]:
    """XDG_DATA_HOME: the paths of sockets have to be short."""
    with tempfile.TemporaryDirectory(prefix="pq-") as folder:
        yield Path(folder)


@pytest.fixture
def start(home: Path, tmp_path: Path) -> Iterator[Callable[..., ManagedProcess]]:
    with ExitStack() as stack:

        def start(*options: str, **env: str) -> ManagedProcess:
            log = Path(tempfile.mkdtemp(dir=tmp_path)) / "up.log"
            # Modules in the user's current folder must not run instead of ours.
            (log.parent / "worker.py").write_text("raise SystemExit('the wrong one')")
            argv = [sys.executable, "-m", "producer", "up", "--port", "0", *options]
            environment = clean_environment(XDG_DATA_HOME=str(home), **env)
            return stack.enter_context(ManagedProcess(argv, log, environment))

        yield start


@pytest.fixture
def up(start: Callable[..., ManagedProcess]) -> Callable[..., Up]:
    def begin(*options: str, **env: str) -> Up:
        process = start(*options, **env)
        process.wait_ready(lambda: "push-queue is up" in process.log)
        return Up(process)

    return begin


async def test_another_shell_pushes_as_it_was_told(
    up: Callable[..., Up], home: Path, tmp_path: Path, registry_host: str, repository: str
) -> None:
    system = up("--workers", "2")
    parts = system.parts()
    assert sorted(parts.values()) == ["valkey", "worker", "worker"]
    folder = home / "push-queue"
    assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    target = f"{registry_host}/{repository}:1"
    tar = ARCHIVES["docker-oci"](tmp_path).path
    command = f"export PUSH_QUEUE_REDIS_URL={system.redis_url}; exec {sys.executable} -m producer"
    done = await asyncio.to_thread(
        subprocess.run,
        ["sh", "-c", f"{command} enqueue {tar} --to {target} --wait --json"],
        env=clean_environment(),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    (job,) = json.loads(done.stdout)
    assert skopeo_inspect(target)["Digest"] == job["digest"]
    assert [found["id"] for found in system.listed()] == [job["id"]]
    assert await system.stop() == 0, system.process.log
    await ended(parts)
    assert "Traceback" not in system.process.log


async def test_curl_alone_uploads_enqueues_and_waits(
    up: Callable[..., Up], home: Path, tmp_path: Path, registry_host: str, repository: str
) -> None:
    system = up(PUSH_QUEUE_SOURCE_ROOTS=str(home))
    upload = system.ask("uploads/", "-T", str(ARCHIVES["docker-oci"](tmp_path).path))
    target = f"{registry_host}/{repository}:1"
    body = json.dumps({"source": upload["source"], "targets": [target]})
    job = system.ask("jobs", "-H", "Content-Type: application/json", "-d", body)
    job = system.ask(f"jobs/{job['id']}?wait=60")
    assert (job["state"], job["cleanup_outcome"]) == ("succeeded", "deleted")
    assert skopeo_inspect(target)["Digest"] == job["digest"]
    assert not list((home / "push-queue" / "spool").glob("*.tar"))
    assert await system.stop() == 0, system.process.log


async def test_ctrl_c_while_a_job_runs_and_the_next_start_goes_on_with_it(
    up: Callable[..., Up], proxy: FaultProxy, tmp_path: Path, repository: str
) -> None:
    system = up(**{GRACE: "1"})
    tar = write_big_archive(tmp_path / "big.tar", [6_000_000])
    hold = proxy.hold(is_patch, after=1_000_000)
    async with system.connect() as queue:
        job = await queue.enqueue(tar.path, f"{proxy.host}/{repository}:1", max_attempts=1)
        await hold.reached.wait()
    parts = system.parts()
    assert await system.stop() == 0, system.process.log
    await ended(parts)
    hold.release()
    system = up()
    async with system.connect() as queue:
        assert (await queue.wait(job.id, timeout=60)).state is JobState.SUCCEEDED
        outcomes = [attempt.outcome for attempt in await queue.attempts(job.id)]
    assert outcomes == [Outcome.RELEASED, Outcome.SUCCEEDED]


async def test_a_second_ctrl_c_does_not_wait(
    up: Callable[..., Up], proxy: FaultProxy, tmp_path: Path, repository: str
) -> None:
    system = up(**{GRACE: "600"})
    tar = write_big_archive(tmp_path / "big.tar", [6_000_000])
    hold = proxy.hold(is_patch, after=1_000_000)
    async with system.connect() as queue:
        await queue.enqueue(tar.path, f"{proxy.host}/{repository}:1")
        await hold.reached.wait()
    parts = system.parts()
    system.process.signal(signal.SIGINT)
    await says(system.process, "stopping")
    assert await system.stop(signal.SIGTERM) == 0, system.process.log
    await ended(parts)


@pytest.mark.parametrize("kind", ["valkey", "worker"])
async def test_a_part_that_is_killed_comes_back(
    kind: str, up: Callable[..., Up], tmp_path: Path, registry_host: str, repository: str
) -> None:
    system = up()
    tar = ARCHIVES["docker-oci"](tmp_path).path
    async with system.connect() as queue:
        before = await queue.enqueue(tar, f"{registry_host}/{repository}:1", not_before=LATER)
        killed = system.part(kind)
        assert killed
        os.kill(killed, signal.SIGKILL)

        async def back() -> bool:
            return system.part(kind) not in (None, killed)

        await becomes(back)
        job = await queue.enqueue(tar, f"{registry_host}/{repository}:2")
        assert (await queue.wait(job.id, timeout=60)).state is JobState.SUCCEEDED
        assert (await queue.status(before.id)).state is JobState.QUEUED


async def test_killed_itself_it_leaves_nothing_behind_and_starts_again(
    up: Callable[..., Up], proxy: FaultProxy, tmp_path: Path, repository: str
) -> None:
    system = up(**{GRACE: "1", "PUSH_QUEUE_LEASE_SECONDS": "3"})
    tar = write_big_archive(tmp_path / "big.tar", [6_000_000])
    hold = proxy.hold(is_patch, after=1_000_000)
    async with system.connect() as queue:
        job = await queue.enqueue(tar.path, f"{proxy.host}/{repository}:1")
        await hold.reached.wait()
    parts = system.parts()
    system.process.kill()
    # At once, while leftover processes may still be ending.
    system = up()
    hold.release()
    await ended(parts)
    async with system.connect() as queue:
        assert (await queue.wait(job.id, timeout=60)).state is JobState.SUCCEEDED


async def test_a_second_one_says_that_there_is_one(
    up: Callable[..., Up], start: Callable[..., ManagedProcess], home: Path
) -> None:
    system = up()
    parts = system.parts()
    second = start()
    assert await asyncio.to_thread(second.wait) == 2
    assert second.log.count("\n") == 1
    assert f"already in {home}/push-queue (process {system.process.pid})" in second.log
    assert system.parts() == parts


async def test_a_valkey_that_was_left_behind_is_waited_for(
    up: Callable[..., Up], start: Callable[..., ManagedProcess]
) -> None:
    """Two processes that write to one file would damage it."""
    system = up()
    valkey = system.part("valkey")
    assert valkey
    os.kill(valkey, signal.SIGSTOP)
    try:
        system.process.kill()
        second = start()
        assert await asyncio.to_thread(second.wait) == 2
        assert "already in" in second.log
    finally:
        os.kill(valkey, signal.SIGCONT)
    assert up().part("valkey") != valkey


async def test_a_valkey_that_cannot_read_its_file_ends_it_with_its_last_words(
    up: Callable[..., Up], start: Callable[..., ManagedProcess], home: Path
) -> None:
    assert await up().stop(signal.SIGTERM) == 0
    (file,) = (home / "push-queue").glob("appendonlydir/*.incr.aof")
    file.write_bytes(b"no commands" + file.read_bytes())
    process = start()
    assert await asyncio.to_thread(process.wait, 60) == 1
    last = process.log.splitlines()[-1]
    assert last.startswith("push-queue: error: valkey does not stay up")
    assert "Bad file format" in last


async def test_another_redis_is_used_where_one_is_named(
    up: Callable[..., Up], start_redis: Callable[[], RedisServer], home: Path
) -> None:
    redis = start_redis()
    system = up(PUSH_QUEUE_REDIS_URL=redis.url)
    assert list(system.parts().values()) == ["worker"]
    assert kept_in(home) == []
    assert system.said("Redis") == f"127.0.0.1:{redis.port}"
    assert "export" not in system.process.log


async def test_the_shell_that_was_told_its_own_valkey_can_start_it_again(
    up: Callable[..., Up],
) -> None:
    system = up()
    assert await system.stop() == 0
    assert up(PUSH_QUEUE_REDIS_URL=system.redis_url).part("valkey")


async def test_a_port_that_is_taken_is_named(
    start: Callable[..., ManagedProcess],
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        process = start("--port", str(port))
        assert await asyncio.to_thread(process.wait) == 2
    assert f"cannot listen at 127.0.0.1:{port} (Address already in use); name" in process.log


async def says(process: ManagedProcess, words: str) -> None:
    async def said() -> bool:
        return words in process.log

    await becomes(said)
