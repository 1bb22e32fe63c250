"""A Redis that refuses: producers hear why in one line, workers wait until it is over."""

import asyncio
import ssl
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from urllib.parse import quote

import pytest
import trustme

from producer import JobState, JobStatus, PushQueue, load_settings
from push_queue.errors import RedisRefusedError
from tests.support.big_images import write_big_archive
from tests.support.images import ARCHIVES
from tests.support.processes import ManagedProcess, free_port
from tests.support.proxy import FaultProxy, is_patch
from tests.support.servers import (
    RedisServer,
    StartWorker,
    clean_environment,
    worker_process,
)
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration


LEASE = {"PUSH_QUEUE_LEASE_SECONDS": "1"}
PASSWORD = "p@ss w/rd:%[1]?#é"

# What makes Redis refuse, what lifts it, and what a producer reads.
REFUSALS = {
    "full": (("maxmemory", "1"), ("maxmemory", "0"), "out of memory"),
    "replicas missing": (("min-replicas-to-write", "1"), ("min-replicas-to-write", "0"), "NOREPL"),
}


@pytest.fixture
def own_redis(start_redis: Callable[[], RedisServer]) -> RedisServer:
    return start_redis()


@pytest.fixture
async def own_queue(own_redis: RedisServer, namespace: str) -> AsyncIterator[PushQueue]:
    settings = load_settings(redis_url=own_redis.url, namespace=namespace)
    async with PushQueue.connect(settings) as queue:
        yield queue


def run(module: str, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", module, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=clean_environment(**env),
    )


# Refusals that pass


@pytest.mark.parametrize("refusal", list(REFUSALS))
async def test_a_worker_outlives_a_redis_that_takes_no_writes(
    refusal: str,
    tmp_path: Path,
    own_redis: RedisServer,
    own_queue: PushQueue,
    worker: StartWorker,
    registry_url: str,
    repository: str,
) -> None:
    sets, lifts, word = REFUSALS[refusal]
    big = write_big_archive(tmp_path / "big.tar", [6_000_000])
    process = worker(PUSH_QUEUE_REDIS_URL=own_redis.url, **LEASE)
    async with FaultProxy(registry_url) as proxy:
        hold = proxy.hold(is_patch, after=1_000_000)
        running = await own_queue.enqueue(big.path, f"{proxy.host}/{repository}:1")
        await hold.reached.wait()
        waiting = await own_queue.enqueue(
            big.path, f"{proxy.host}/{repository}:2", job_id="waiting"
        )
        with own_redis.client() as redis:
            redis.config_set(*sets)
            with pytest.raises(RedisRefusedError, match=word) as caught:
                await own_queue.enqueue(big.path, f"{proxy.host}/{repository}:3", job_id="refused")
            assert "\n" not in str(caught.value)
            refused = len(process.log)
            hold.release()
            await becomes(lambda: said_more(process, refused, "[warning"))
            assert process.returncode is None
            redis.config_set(*lifts)
        done = [await own_queue.wait(job.id, timeout=60) for job in (running, waiting)]
    assert {(job.state, job.error) for job in done} == {(JobState.SUCCEEDED, None)}
    assert process.returncode is None
    assert "Traceback" not in process.log


async def said_more(process: ManagedProcess, before: int, word: str) -> bool:
    return word in process.log[before:]


def test_a_read_only_replica_is_exit_code_3_and_says_so(
    tmp_path: Path, own_redis: RedisServer
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    with own_redis.client() as redis:
        redis.config_set("replica-serve-stale-data", "yes")
        redis.replicaof("127.0.0.1", str(free_port()))
    done = run(
        "producer", "enqueue", str(archive.path), "--to", "localhost:1/app:1",
        PUSH_QUEUE_REDIS_URL=own_redis.url,
    )  # fmt: skip
    assert_exit_3(done, f"127.0.0.1:{own_redis.port}", "read-only replica")


# Refusals that stay


@pytest.mark.parametrize("module", ["worker", "producer"])
@pytest.mark.parametrize(
    ("setting", "address", "word"),
    [
        (("requirepass", "right"), ":wrong-secret@{host}/0", "credentials"),
        (("requirepass", "right"), "{host}/0", "credentials"),
        (("databases", None), ":@{host}/99", "out of range"),
        # redis-py mostly sees the connection end before it reads why.
        (("maxclients", "1"), "{host}/0", "Redis at"),
    ],
    ids=["wrong password", "no password", "no such database", "no connection left"],
)
def test_a_refusal_is_exit_code_3_and_one_line(
    module: str,
    setting: tuple[str, str | None],
    address: str,
    word: str,
    own_redis: RedisServer,
) -> None:
    name, value = setting
    host = f"127.0.0.1:{own_redis.port}"
    with own_redis.client() as redis:
        if value is not None:
            redis.config_set(name, value)
        arguments = ["list"] if module == "producer" else []
        done = run(module, *arguments, PUSH_QUEUE_REDIS_URL=f"redis://{address.format(host=host)}")
    assert_exit_3(done, host, word)
    assert "secret" not in done.stderr


def assert_exit_3(done: subprocess.CompletedProcess[str], *words: str) -> None:
    assert done.returncode == 3, done.stderr
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in words), line


# Other ways to a Redis


async def push_once(url: str, namespace: str, folder: Path, target: str) -> JobStatus:
    """By a producer and a worker that both know Redis by this URL."""
    archive = ARCHIVES["guide"](folder)
    async with PushQueue.connect(load_settings(redis_url=url, namespace=namespace)) as queue:
        job = await queue.enqueue(archive.path, target)
        return await queue.wait(job.id, timeout=60)


async def test_a_password_with_every_sign_in_it(
    tmp_path: Path,
    namespace: str,
    own_redis: RedisServer,
    worker: StartWorker,
    registry_host: str,
    repository: str,
) -> None:
    with own_redis.client() as redis:
        redis.execute_command(
            "ACL", "SETUSER", "a@b", "on", f">{PASSWORD}", "~*", "&*", "+@all", "-@dangerous",
            "+info",
        )  # fmt: skip
    login = f"{quote('a@b', safe='')}:{quote(PASSWORD, safe='')}"
    url = f"redis://{login}@127.0.0.1:{own_redis.port}/3"
    # The fixture looks for the worker by this very URL.
    process = worker(PUSH_QUEUE_REDIS_URL=url)
    job = await push_once(url, namespace, tmp_path, f"{registry_host}/{repository}:1")
    assert job.state is JobState.SUCCEEDED
    assert PASSWORD not in process.log
    assert quote(PASSWORD, safe="") not in process.log


@asynccontextmanager
async def tls_in_front_of(port: int, context: ssl.SSLContext) -> AsyncIterator[int]:
    """Ends TLS in front of a Redis, whose wheel is built without; yields the port."""

    async def copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while data := await reader.read(65536):
                writer.write(data)
                await writer.drain()
        writer.close()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        upstream, to_upstream = await asyncio.open_connection("127.0.0.1", port)
        await asyncio.gather(copy(reader, to_upstream), copy(upstream, writer))

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()


async def test_tls_with_an_authority_of_one_s_own(
    tmp_path: Path,
    namespace: str,
    redis_url: str,
    shared_redis: RedisServer,
    worker: StartWorker,
    registry_host: str,
    repository: str,
) -> None:
    authority = trustme.CA()
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    target = f"{registry_host}/{repository}:1"
    async with tls_in_front_of(shared_redis.port, context) as port:
        url = f"rediss://localhost:{port}/0?ssl_ca_certs={quote(str(tmp_path / 'ca.pem'))}"
        log = tmp_path / "worker.log"
        env = {"PUSH_QUEUE_REDIS_URL": url, "PUSH_QUEUE_NAMESPACE": namespace}
        with worker_process(log, env) as process:
            await asyncio.to_thread(process.wait_ready, lambda: "is ready" in process.log)
            job = await push_once(url, namespace, tmp_path, target)
            assert job.state is JobState.SUCCEEDED
        for refused in (
            f"rediss://localhost:{port}/0",
            url.replace("localhost", "127.0.0.1"),
        ):
            done = await asyncio.to_thread(run, "producer", "list", PUSH_QUEUE_REDIS_URL=refused)
            assert_exit_3(done, str(port), "TLS: ", "ertificate")


async def test_a_task_that_is_being_cancelled_cleans_up_in_redis(queue: PushQueue) -> None:
    """It did not with Python 3.11.2: a worker that was stopped did not hand its jobs back."""
    begun, cleaned_up = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            await queue.list()
            cleaned_up.set()

    task = asyncio.create_task(work())
    await begun.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert cleaned_up.is_set()
