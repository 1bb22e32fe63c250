"""The examples do what they say, on real servers."""

import runpy
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

import pytest

from producer import PushQueue, load_settings
from tests.support.api_server import ApiServer
from tests.support.images import ARCHIVES
from tests.support.processes import ManagedProcess, require_program
from tests.support.servers import (
    REPOSITORY_ROOT,
    RedisServer,
    StartWorker,
    clean_environment,
)
from tests.support.skopeo import skopeo_inspect
from tests.support.terminal import run_on_terminal
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

EXAMPLES = REPOSITORY_ROOT / "examples"
NOWHERE = "localhost:1/app:1"


def produce(server: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run the producer in JavaScript."""
    return subprocess.run(
        [require_program("node"), EXAMPLES / "producer.mjs", *arguments],
        env=clean_environment(PUSH_QUEUE_SERVER=server),
        capture_output=True,
        text=True,
        timeout=120,
    )


def test_a_producer_in_another_language_pushes(
    server: ApiServer,
    worker: StartWorker,
    spool: Path,
    tmp_path: Path,
    registry_host: str,
    repository: str,
) -> None:
    worker(PUSH_QUEUE_SPOOL=str(spool))
    target = f"{registry_host}/{repository}:1"
    done = produce(server.url, str(ARCHIVES["docker-oci"](tmp_path).path), target)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == skopeo_inspect(target)["Digest"]


def test_a_producer_in_another_language_says_what_is_wrong(
    server: ApiServer, tmp_path: Path
) -> None:
    tar = tmp_path / "app.tar"
    tar.write_bytes(b"no tar")
    refused = produce(server.url, str(tar), "no reference")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert "no reference" in refused.stderr
    away = produce("http://127.0.0.1:1", str(tar), NOWHERE)
    assert (away.returncode, away.stdout) == (1, "")
    assert away.stderr.startswith("producer: ")
    assert len(away.stderr.splitlines()) == 1
    assert produce(server.url).returncode == 2


async def test_a_dashboard_shows_what_redis_says(
    start_redis: Callable[[], RedisServer],
    worker: StartWorker,
    tmp_path: Path,
    registry_host: str,
    repository: str,
) -> None:
    url = start_redis().url
    dashboard = [sys.executable, str(EXAMPLES / "dashboard.py"), url]
    tar = ARCHIVES["docker-oci"](tmp_path).path
    async with (
        PushQueue.connect(load_settings(redis_url=url)) as queue,
        run_on_terminal(dashboard, clean_environment()) as terminal,
    ):
        await queue.enqueue(tar, f"{registry_host}/{repository}:1", job_id="build-1")
        await terminal.shows(lambda row: "build-1" in row and "queued" in row)
        worker(PUSH_QUEUE_REDIS_URL=url, PUSH_QUEUE_NAMESPACE="push")
        await terminal.shows(lambda row: "build-1" in row and "succeeded" in row)
        await terminal.shows(lambda row: "build-1" in row and "100 %" in row)
    async with run_on_terminal([*dashboard, "--once"], clean_environment()) as terminal:
        await terminal.shows(lambda row: "build-1" in row and "succeeded" in row)
        assert await terminal.process.wait() == 0


async def test_an_autoscaler_follows_the_queue(
    server: ApiServer, queue: PushQueue, tmp_path: Path
) -> None:
    called = tmp_path / "called"
    command = ["sh", "-c", f"echo {{workers}} >> {called}"]
    scaler = [sys.executable, str(EXAMPLES / "autoscaler.py"), "--most", "4"]
    often = ["--seconds", "0.05", "--looks", "3", "--jobs-each", "10", "--", *command]
    env = clean_environment(PUSH_QUEUE_SERVER=server.url)

    async def last_call_is(workers: int) -> None:
        async def it_is() -> bool:
            return called.exists() and called.read_text().split()[-1:] == [str(workers)]

        await becomes(it_is)

    with ManagedProcess([*scaler, *often], tmp_path / "autoscaler.log", env):
        await last_call_is(1)
        await queue.enqueue_many([queue.describe("/app.tar", NOWHERE) for _ in range(25)])
        await last_call_is(3)
        await queue.enqueue_many([queue.describe("/app.tar", NOWHERE) for _ in range(50)])
        await last_call_is(4)
        for job in await queue.list(limit=100):
            await queue.cancel(job.id)
        await last_call_is(1)


def test_an_autoscaler_takes_workers_away_only_after_a_while() -> None:
    autoscaler = runpy.run_path(str(EXAMPLES / "autoscaler.py"))
    scale = autoscaler["Scale"](least=1, most=4, looks=3)
    assert [scale.after(wanted) for wanted in (0, 9, 0, 2, 0, 0, 0)] == [1, 4, 4, 4, 2, 2, 1]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ([], "python examples/sample_image.py app.tar"),
        (["/nowhere/app.tar"], "cannot write /nowhere/app.tar: No such file or directory"),
    ],
)
def test_a_sample_image_says_what_is_wrong(
    arguments: list[str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["sample_image.py", *arguments])
    with pytest.raises(SystemExit, match=f"{said}$"):
        runpy.run_path(str(EXAMPLES / "sample_image.py"), run_name="__main__")


def test_a_sample_image_needs_the_packages_that_it_is_made_of(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    get_path = sysconfig.get_path
    monkeypatch.setattr(
        sysconfig,
        "get_path",
        lambda name: str(tmp_path) if name == "platlib" else get_path(name),
    )
    monkeypatch.setattr(sys, "argv", ["sample_image.py", str(tmp_path / "app.tar")])
    with pytest.raises(SystemExit, match=rf"no {tmp_path}/aiohttp: run this by \.venv/bin/python"):
        runpy.run_path(str(EXAMPLES / "sample_image.py"), run_name="__main__")
    assert not list(tmp_path.iterdir())
