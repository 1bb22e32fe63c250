"""The worker as a process: what it says and how it exits when it cannot work."""

import os
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from producer import JobState, PushQueue
from tests.support.big_images import write_big_archive
from tests.support.processes import free_port
from tests.support.proxy import FaultProxy, is_commit, is_patch
from tests.support.servers import RedisServer, StartWorker, clean_environment, worker_process
from worker.alive_file import FRESH_SECONDS

pytestmark = pytest.mark.integration


def run_worker(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "worker", *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment(**env),
        cwd=Path(__file__).parent,
    )


def assert_one_line(text: str, *words: str) -> None:
    assert len(text.splitlines()) == 1, text
    assert all(word in text for word in words), text


def test_no_redis_is_exit_code_3_and_one_line() -> None:
    address = f"127.0.0.1:{free_port()}"
    done = run_worker(PUSH_QUEUE_REDIS_URL=f"redis://:secret@{address}/0")
    assert done.returncode == 3
    assert_one_line(done.stderr, address)
    assert "secret" not in done.stderr


def test_a_taken_port_for_metrics_is_exit_code_2_and_one_line(redis_url: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_worker(PUSH_QUEUE_REDIS_URL=redis_url, PUSH_QUEUE_METRICS_PORT=port)
    assert done.returncode == 2
    (error,) = [line for line in done.stderr.splitlines() if "error:" in line]
    assert f"127.0.0.1:{port}" in error
    assert "PUSH_QUEUE_METRICS_PORT of its own" in error
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("PUSH_QUEUE_METRICS_PORT", "70000"),
        ("PUSH_QUEUE_REDIS_URL", "nonsense"),
        ("PUSH_QUEUE_MAX_JOBS", "none"),
        ("PUSH_QUEUE_REGISTRY_AUTH", "{secret"),
        ("PUSH_QUEUE_NAMESPACE", "a b"),
    ],
)
def test_a_bad_setting_is_exit_code_2_and_named(name: str, value: str) -> None:
    done = run_worker(**{name: value})
    assert done.returncode == 2
    assert_one_line(done.stderr, name)
    assert "secret" not in done.stderr


def test_a_spoilt_docker_config_is_exit_code_2_and_named(tmp_path: Path, redis_url: str) -> None:
    (tmp_path / "config.json").write_text("{")
    done = run_worker(PUSH_QUEUE_REDIS_URL=redis_url, DOCKER_CONFIG=str(tmp_path))
    assert done.returncode == 2
    assert str(tmp_path / "config.json") in done.stderr
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("name", "value", "word"),
    [
        ("PUSH_QUEUE_REGISTRY_CERTS_DIR", "/no/such/folder", "/no/such/folder"),
        ("HTTPS_PROXY", "socks5://me:secret@proxy:1080", "HTTPS_PROXY"),
    ],
)
def test_transport_settings_that_cannot_be_used_are_named(
    name: str, value: str, word: str, redis_url: str
) -> None:
    done = run_worker(PUSH_QUEUE_REDIS_URL=redis_url, **{name: value})
    assert done.returncode == 2
    assert word in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert "secret" not in done.stderr


def test_burst_ends_with_an_empty_queue(redis_url: str, namespace: str) -> None:
    done = run_worker("--burst", PUSH_QUEUE_REDIS_URL=redis_url, PUSH_QUEUE_NAMESPACE=namespace)
    assert done.returncode == 0, done.stderr


def test_check_tells_whether_a_worker_is_alive(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    env = {"PUSH_QUEUE_REDIS_URL": redis_url, "PUSH_QUEUE_NAMESPACE": namespace}
    assert run_worker("--check", **env).returncode == 1
    with worker_process(tmp_path / "worker.log", env) as process:
        process.wait_ready(lambda: run_worker("--check", **env).returncode == 0)
        assert process.terminate() == 0
    assert run_worker("--check", **env).returncode == 1


def test_it_says_that_it_is_ready_and_stops_when_told(
    worker: StartWorker, shared_redis: RedisServer, namespace: str
) -> None:
    process = worker()
    process.wait_ready(lambda: "is ready" in process.log)
    assert process.terminate() == 0
    assert "Traceback" not in process.log
    with shared_redis.client() as redis:
        assert list(redis.scan_iter(f"{namespace}:worker:*")) == []


async def test_the_time_for_commits_is_set_for_workers(
    tmp_path: Path,
    queue: PushQueue,
    worker: StartWorker,
    registry_url: str,
    repository: str,
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [2_000_000])
    short = {f"PUSH_QUEUE_{what}_TIMEOUT_SECONDS": "4" for what in ("REGISTRY", "COMMIT")}
    async with FaultProxy(registry_url) as proxy:
        proxy.hold(is_commit)
        worker(**short)
        job = await queue.enqueue(big.path, f"{proxy.host}/{repository}:1")
        # Not after the ten minutes that are the default.
        assert (await queue.wait(job.id, timeout=60)).state is JobState.SUCCEEDED
        assert proxy.count(is_patch) == 2


def test_check_by_file_is_of_this_worker_alone(
    redis_url: str, namespace: str, tmp_path: Path
) -> None:
    env = {"PUSH_QUEUE_REDIS_URL": redis_url, "PUSH_QUEUE_NAMESPACE": namespace}
    mine, other = (tmp_path / name for name in ("mine", "other"))

    def is_alive(file: Path) -> bool:
        # The check needs no Redis.
        return run_worker("--check", PUSH_QUEUE_ALIVE_FILE=str(file)).returncode == 0

    with (
        worker_process(tmp_path / "1.log", env | {"PUSH_QUEUE_ALIVE_FILE": str(mine)}) as process,
        worker_process(tmp_path / "2.log", env | {"PUSH_QUEUE_ALIVE_FILE": str(other)}) as second,
    ):
        second.wait_ready(other.exists)
        process.wait_ready(lambda: is_alive(mine))
        process.kill()
        long_ago = time.time() - FRESH_SECONDS - 1
        os.utime(mine, (long_ago, long_ago))
        assert not is_alive(mine)
        second.wait_ready(lambda: is_alive(other))
        assert second.terminate() == 0
    assert not other.exists()
