"""What a worker says, or refuses, when it starts on a Redis that may lose jobs."""

import subprocess
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from redis.exceptions import ResponseError

from tests.support.clocks import clock_off_by
from tests.support.servers import (
    RedisServer,
    clean_environment,
    wait_for_worker,
    worker_process,
)

pytestmark = pytest.mark.integration

EVICTS = {"maxmemory": "100mb", "maxmemory-policy": "allkeys-lru"}
FORGETS = {"appendonly": "no", "save": ""}


def burst(redis: RedisServer, user: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    url = redis.url.replace("//", f"//{user}", 1)
    return subprocess.run(
        [sys.executable, "-m", "worker", "--burst"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment(PUSH_QUEUE_REDIS_URL=url, **env),
    )


def configured(start: Callable[[], RedisServer], options: dict[str, str]) -> RedisServer:
    redis = start()
    with redis.client() as client:
        client.acl_setuser("limited", enabled=True, passwords=["+x"], keys=["*"], channels=["*"],
                           categories=["+@all"], commands=["-config"])  # fmt: skip
        for name, value in options.items():
            client.config_set(name, value)
    return redis


def test_a_redis_as_it_should_be_is_not_spoken_of(start_redis: Callable[[], RedisServer]) -> None:
    done = burst(configured(start_redis, {}))
    assert done.returncode == 0, done.stderr
    assert "[warning" not in done.stderr


@pytest.mark.parametrize("user", ["", "limited:x@"], ids=["all allowed", "no CONFIG"])
def test_a_redis_that_evicts_is_refused(user: str, start_redis: Callable[[], RedisServer]) -> None:
    redis = configured(start_redis, EVICTS)
    done = burst(redis, user)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith("push-worker: error:")
    assert all(word in line for word in ("allkeys-lru", "noeviction", "PUSH_QUEUE_ALLOW_EVICTION"))
    assert "Traceback" not in done.stderr
    allowed = burst(redis, user, PUSH_QUEUE_ALLOW_EVICTION="true")
    assert allowed.returncode == 0, allowed.stderr
    assert "evicts keys" in allowed.stderr


def test_a_policy_without_a_limit_evicts_nothing(start_redis: Callable[[], RedisServer]) -> None:
    done = burst(configured(start_redis, EVICTS | {"maxmemory": "0"}))
    assert done.returncode == 0, done.stderr


def test_a_redis_that_writes_nothing_is_warned_of(start_redis: Callable[[], RedisServer]) -> None:
    redis = configured(start_redis, FORGETS)
    assert "writes nothing to disk" in burst(redis).stderr
    with redis.client() as client:
        client.config_set("save", "60 1")
    assert "writes nothing to disk" not in burst(redis).stderr


@pytest.mark.parametrize(
    ("seconds", "words"), [(60, "ahead of"), (-60, "behind"), (0, None)], ids=str
)
def test_a_clock_that_is_off_is_warned_of(
    seconds: int, words: str | None, start_redis: Callable[[], RedisServer]
) -> None:
    done = burst(start_redis(), **clock_off_by(seconds))
    assert done.returncode == 0, done.stderr
    assert (f"s {words} that of Redis" in done.stderr) if words else ("clock" not in done.stderr)


def test_a_redis_that_is_full_is_waited_for(
    start_redis: Callable[[], RedisServer], tmp_path: Path
) -> None:
    redis = configured(start_redis, {"maxmemory": "1"})
    settings = {"PUSH_QUEUE_REDIS_URL": redis.url}
    with worker_process(tmp_path / "worker.log", settings) as worker, redis.client() as client:
        worker.wait_ready(lambda: "is out of memory" in worker.log)
        client.config_set("maxmemory", "0")
        wait_for_worker(worker, redis.url, "push")
        assert worker.terminate() == 0


def test_a_redis_that_is_busy_is_waited_for(
    start_redis: Callable[[], RedisServer], tmp_path: Path
) -> None:
    redis = configured(start_redis, {"busy-reply-threshold": "1"})
    settings = {"PUSH_QUEUE_REDIS_URL": redis.url}
    with redis.client() as client, redis.client() as other, ThreadPoolExecutor() as pool:
        script = pool.submit(client.eval, "while true do end", 0)
        with worker_process(tmp_path / "worker.log", settings) as worker:
            worker.wait_ready(lambda: "BUSY" in worker.log)
            other.script_kill()
            with pytest.raises(ResponseError):
                script.result()
            wait_for_worker(worker, redis.url, "push")
            assert worker.terminate() == 0
    assert worker.log.count("BUSY") == 1


def arq_burst(**env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "arq", "worker.WorkerSettings", "--burst"],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment(**env),
    )


def test_arq_s_own_worker_says_what_it_lacks(redis_url: str, namespace: str) -> None:
    done = arq_burst(PUSH_QUEUE_REDIS_URL=redis_url, PUSH_QUEUE_NAMESPACE=namespace)
    assert done.returncode == 0, done.stderr
    assert "run `push-worker`" in done.stderr


def test_arq_s_own_worker_refuses_a_redis_that_evicts(
    start_redis: Callable[[], RedisServer],
) -> None:
    done = arq_burst(PUSH_QUEUE_REDIS_URL=configured(start_redis, EVICTS).url)
    assert done.returncode == 2
    line = done.stderr.splitlines()[-1]
    assert line.startswith("push-worker: error:")
    assert "PUSH_QUEUE_ALLOW_EVICTION" in line
    assert "Traceback" not in done.stderr


@pytest.mark.parametrize(
    ("settings", "code", "words"),
    [
        ({"PUSH_QUEUE_MAX_JOBS": "many"}, 2, "PUSH_QUEUE_MAX_JOBS"),
        ({"PUSH_QUEUE_REDIS_URL": "redis://127.0.0.1:1"}, 3, "cannot reach Redis at 127.0.0.1:1"),
    ],
    ids=["bad settings", "Redis down"],
)
def test_arq_s_own_worker_that_cannot_start_says_so_in_one_line(
    settings: dict[str, str], code: int, words: str, redis_url: str
) -> None:
    done = arq_burst(**{"PUSH_QUEUE_REDIS_URL": redis_url, **settings})
    assert done.returncode == code
    (line,) = done.stderr.splitlines()
    assert line.startswith("push-worker: error:")
    assert words in line
