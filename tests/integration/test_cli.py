"""The command line as a user runs it: processes, real servers, exit codes, one line for errors."""

import asyncio
import json
import os
import pty
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest
import redis

from producer.cli import app
from push_queue.models.formats import FORMAT
from tests.support.commands import error_of, push_queue
from tests.support.images import SEVERAL_IMAGES, make_image
from tests.support.layouts import Layout, platform_image
from tests.support.processes import ManagedProcess, free_port
from tests.support.proxy import FaultProxy, is_blob_head, is_blob_put
from tests.support.servers import Registry, clean_environment
from tests.support.skopeo import raw_manifest, skopeo_copy_to_dir, skopeo_inspect

pytestmark = pytest.mark.integration

TARGET = "localhost:15000/app:1"
DIGEST = re.compile(r"sha256:[0-9a-f]{64}")

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    """The folder for temporary files; a test can see whether something is left there."""
    folder = tmp_path / "t"
    folder.mkdir()
    return folder


@pytest.fixture
def environment(temporary: Path) -> dict[str, str]:
    """No Redis configured."""
    return clean_environment(TMPDIR=str(temporary))


@pytest.fixture
def lone(folder: Path, environment: dict[str, str]) -> Cli:
    """`push-queue` without a configured Redis."""
    return _runner(folder, environment)


@pytest.fixture
def cli(folder: Path, environment: dict[str, str], redis_url: str, namespace: str) -> Cli:
    """`push-queue` with this test's own part of the shared Valkey."""
    configured = {"PUSH_QUEUE_REDIS_URL": redis_url, "PUSH_QUEUE_NAMESPACE": namespace}
    return _runner(folder, {**environment, **configured})


def _runner(folder: Path, environment: dict[str, str]) -> Cli:
    def run(*arguments: object, **extra: str) -> subprocess.CompletedProcess[str]:
        return push_queue(*arguments, env={**environment, **extra}, cwd=folder, timeout=90)

    return run


@pytest.fixture
def here(
    folder: Path,
    redis_url: str,
    namespace: str,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> Cli:
    """`push-queue` as `cli` runs it, but in this process: for the many ways to go wrong."""
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PUSH_QUEUE_REDIS_URL", redis_url)
    monkeypatch.setenv("PUSH_QUEUE_NAMESPACE", namespace)

    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        argv = [str(argument) for argument in arguments]
        code = app.run(argv)
        return subprocess.CompletedProcess(argv, code, *capsys.readouterr())

    return run


def enqueued(cli: Cli, tar: Path, *arguments: str) -> str:
    result = cli("enqueue", tar, "--to", TARGET, *arguments)
    assert result.returncode == 0, result.stderr
    job_id: str = result.stdout.strip()
    return job_id


def state(cli: Cli, job_id: str) -> Any:
    return json.loads(cli("status", job_id, "--json").stdout)["state"]


# One shot


def test_push_without_anything_set_up(
    lone: Cli, tar: Path, registry_host: str, repository: str, temporary: Path
) -> None:
    target = f"{registry_host}/{repository}:1"
    result = lone("push", tar, "--to", target)
    assert result.returncode == 0, result.stderr
    assert DIGEST.fullmatch(result.stdout.strip())
    assert skopeo_inspect(target)["Digest"] == result.stdout.strip()
    assert "succeeded" in result.stderr
    assert list(temporary.iterdir()) == []


def test_push_writes_json(lone: Cli, tar: Path, registry_host: str, repository: str) -> None:
    target = f"{registry_host}/{repository}:1"
    result = lone("push", tar, "--to", target, "--json", "--compression", "keep")
    job = json.loads(result.stdout)
    assert (job["state"], job["targets"]) == ("succeeded", [target])
    assert job["results"] == [{"target": target, "outcome": "pushed", "digest": job["digest"]}]
    assert result.stderr == ""


def test_push_of_one_platform_says_what_it_left_out(
    lone: Cli, tmp_path: Path, registry_host: str, repository: str
) -> None:
    layout = Layout()
    images = [
        layout.image(platform_image(name), platform=name) for name in ("linux/amd64", "linux/arm64")
    ]
    layout.sign(layout.root(layout.index(*images), "app:1"))
    target = f"{registry_host}/{repository}:1"
    tar = layout.write(tmp_path / "app.tar")
    result = lone("push", tar, "--to", target, "--platform", "linux/aarch64")
    assert result.returncode == 0, result.stderr
    assert result.stdout.strip() == images[1]["digest"]
    assert "push-queue: note: " in result.stderr
    assert "left out: 1" in result.stderr
    assert json.loads(raw_manifest(target))["config"]["digest"]


def test_push_of_what_is_no_image(lone: Cli, folder: Path, temporary: Path) -> None:
    (folder / "bad.tar").write_text("no tar at all")
    result = lone("push", "bad.tar", "--to", TARGET)
    assert result.returncode == 2
    assert "bad.tar" in error_of(result)
    assert "(invalid_archive)" in error_of(result)
    assert result.stderr.count("bad.tar is") == 1  # The reason is said once.
    assert list(temporary.iterdir()) == []


def test_push_to_a_registry_that_is_down(lone: Cli, tar: Path) -> None:
    host = f"localhost:{free_port()}"
    result = lone("push", tar, "--to", f"{host}/app:1", "--give-up-after", "2s")
    assert result.returncode == 1
    assert host in error_of(result)
    assert "(registry_unavailable)" in error_of(result)
    assert "tried again until" in result.stderr


def test_push_uses_a_configured_redis(
    cli: Cli, tar: Path, registry_host: str, repository: str, worker: Callable[[], ManagedProcess]
) -> None:
    worker()
    target = f"{registry_host}/{repository}:1"
    result = cli("push", tar, "--to", target)
    assert result.returncode == 0, result.stderr
    assert "warning" not in result.stderr
    assert cli("list").stdout.count("succeeded") == 1


@pytest.mark.parametrize("closed", ["<&-", ">&-", "2>&-"])
def test_a_push_whose_caller_has_closed_a_standard_stream(
    closed: str,
    folder: Path,
    environment: dict[str, str],
    tar: Path,
    registry_host: str,
    repository: str,
) -> None:
    target = f"{registry_host}/{repository}:1"
    result = subprocess.run(
        ["sh", "-c", f'exec "$@" {closed}', "sh",
         sys.executable, "-m", "producer", "push", str(tar), "--to", target],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    assert raw_manifest(target)
    assert bool(DIGEST.fullmatch(result.stdout.strip())) is (closed != ">&-")


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, -2), (signal.SIGTERM, -15), (signal.SIGHUP, -1)]
)
async def test_a_signal_ends_a_push_and_its_uploads(
    folder: Path,
    environment: dict[str, str],
    tar: Path,
    temporary: Path,
    shared_registry: Registry,
    repository: str,
    number: int,
    code: int,
) -> None:
    async with FaultProxy(shared_registry.url) as proxy:
        held = proxy.hold(is_blob_put)
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "producer", "push", tar, "--to", f"{proxy.host}/{repository}:1",
            cwd=folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )  # fmt: skip
        try:
            await held.reached.wait()
            process.send_signal(number)
            output, _ = await process.communicate()
        finally:
            with suppress(ProcessLookupError):
                process.kill()
        held.release()
    assert process.returncode == code
    assert b"Traceback" not in output
    assert b"goes on" not in output
    assert any(request.method == "DELETE" for request in proxy.requests)
    assert not os.listdir(temporary)  # noqa: PTH208 - nothing to wait for here


def _until(ready: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 60
    while not ready():
        assert time.monotonic() < deadline
        time.sleep(0.02)


async def test_a_push_outlasts_a_registry_that_is_away(
    folder: Path,
    environment: dict[str, str],
    tar: Path,
    shared_registry: Registry,
    repository: str,
) -> None:
    async with FaultProxy(shared_registry.url) as proxy:
        for _ in range(6):  # more than the attempts and the tries of a request
            proxy.answer(is_blob_head, status=503)
        target = f"{proxy.host}/{repository}:1"
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "producer", "push", tar, "--to", target, "--json",
            cwd=folder,
            env={**environment, "PUSH_QUEUE_MAX_ATTEMPTS": "1"},
            stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, _ = await process.communicate()
    job = json.loads(output)
    assert (job["state"], job["attempt"], job["targets"]) == ("succeeded", 1, [target])
    assert raw_manifest(f"{shared_registry.host}/{repository}:1")


def test_a_terminal_gets_bars(
    folder: Path, environment: dict[str, str], tar: Path, registry_host: str, repository: str
) -> None:
    target = f"{registry_host}/{repository}:1"
    with _terminal() as (terminal, read):
        process = subprocess.run(
            [sys.executable, "-m", "producer", "push", str(tar), "--to", target],
            cwd=folder,
            env={**environment, "TERM": "xterm", "COLUMNS": "100"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=terminal,
            timeout=60,
        )
        screen = read()
    assert process.returncode == 0
    assert DIGEST.fullmatch(process.stdout.decode().strip())
    assert "━━━━" in screen
    assert len(set(re.findall(r"sha256:[0-9a-f]{12}", screen))) >= 2, "a bar for each blob"


@contextmanager
def _terminal() -> Iterator[tuple[int, Callable[[], str]]]:
    """A pseudo-terminal to write to, and what was written once it is closed.

    It is read all the time: who writes to a full one is held up.
    """
    reader, terminal = pty.openpty()
    chunks: list[bytes] = []

    def drain() -> None:
        with suppress(OSError):  # how Linux says that the other end is closed
            while chunk := os.read(reader, 65536):
                chunks.append(chunk)

    draining = threading.Thread(target=drain)
    draining.start()

    def read() -> str:
        os.close(terminal)
        draining.join(timeout=60)
        return b"".join(chunks).decode()

    try:
        yield terminal, read
    finally:
        os.close(reader)


# Enqueueing


def test_enqueue_writes_the_id_and_status_finds_it(cli: Cli, tar: Path) -> None:
    job_id = enqueued(cli, tar, "--label", "branch=main", "--max-attempts", "3")
    job = json.loads(cli("status", job_id, "--json").stdout)
    assert (job["id"], job["state"], job["max_attempts"]) == (job_id, "queued", 3)
    assert (job["source"], job["targets"]) == (str(tar), [TARGET])
    assert (job["labels"], job["blobs"], job["attempts"]) == ({"branch": "main"}, [], [])
    text = cli("status", job_id).stdout
    assert "State       queued" in text
    assert f"Targets     {TARGET}" in text


def test_enqueue_takes_all_that_a_job_can_have(cli: Cli, tar: Path) -> None:
    options = ["--priority", "high", "--delay", "1h", "--unordered", "--cleanup", "--label", "a=b"]
    chosen = ["--image", "example/app:1.0", "--platform", "linux/armhf"]
    (job,) = json.loads(cli("enqueue", tar, "--to", TARGET, *options, *chosen, "--json").stdout)
    assert (job["image"], job["platform"]) == ("example/app:1.0", "linux/arm/v7")
    assert (job["priority"], job["ordered"], job["cleanup"]) == ("high", False, True)
    assert job["labels"] == {"a": "b"}
    assert "queued until " in cli("status", job["id"]).stdout


def test_a_tar_is_not_cleaned_up_before_its_other_jobs_have_read_it(
    here: Cli, tmp_path: Path
) -> None:
    tar = SEVERAL_IMAGES(tmp_path).path
    options = ["--original-tags", "--registry", "localhost:15000", "--cleanup"]
    result = here("enqueue", tar, *options)
    assert result.returncode == 2
    assert error_of(result).endswith("several of one; leave it out")
    named = here("enqueue", tar, *options[:-1], "--id", "one")
    assert error_of(named).endswith("names one job, but this makes 2; leave it out")


def test_enqueue_resolves_a_relative_path(cli: Cli, tar: Path, folder: Path) -> None:
    job_id = enqueued(cli, Path(os.path.relpath(tar, folder)))
    source = json.loads(cli("status", job_id, "--json").stdout)["source"]
    assert Path(source).is_absolute()
    assert Path(source).samefile(tar)


def test_the_same_id_is_enqueued_once(cli: Cli, tar: Path) -> None:
    assert enqueued(cli, tar, "--id", "build-7") == enqueued(cli, tar, "--id", "build-7")
    assert len(json.loads(cli("list", "--json").stdout)) == 1


def test_the_same_id_with_another_target_is_refused(here: Cli, tar: Path) -> None:
    enqueued(here, tar, "--id", "build-7")
    result = here("enqueue", tar, "--to", "localhost:15000/app:2", "--id", "build-7")
    assert result.returncode == 2
    assert f"build-7 exists, with targets {TARGET}, not localhost:15000/app:2" in error_of(result)


def test_the_id_of_a_job_of_a_newer_release_is_refused(
    here: Cli, tar: Path, redis_url: str, namespace: str
) -> None:
    enqueued(here, tar, "--id", "build-7")
    newer = {"format": FORMAT + 1, "priority": "urgent"}
    with redis.Redis.from_url(redis_url) as client:
        client.hset(f"{namespace}:job:build-7", mapping=newer)
    again = here("enqueue", tar, "--to", TARGET, "--id", "build-7")
    assert again.returncode == 2
    assert "build-7 exists, enqueued by a newer release" in error_of(again)
    here("cancel", "build-7")
    retried = here("retry", "build-7")
    waits = "build-7 queued: a worker of the newer release that it was enqueued by\n"
    assert (retried.returncode, retried.stdout) == (0, waits)


@pytest.mark.parametrize("options", [(), ("--wait",), ("--json",)])
def test_a_job_that_ended_badly_says_how_to_run_it_again(
    here: Cli, tar: Path, options: tuple[str, ...]
) -> None:
    enqueued(here, tar, "--id", "build-7")
    here("cancel", "build-7")
    result = here("enqueue", tar, "--to", TARGET, "--id", "build-7", *options)
    assert result.returncode == 1
    assert "build-7 cancelled" in result.stderr
    assert "push-queue retry build-7" in result.stderr
    here("retry", "build-7")
    assert enqueued(here, tar, "--id", "build-7") == "build-7"


def test_original_tags_make_a_job_for_each_image(
    cli: Cli,
    tmp_path: Path,
    registry_host: str,
    worker: Callable[[], ManagedProcess],
) -> None:
    worker()
    archive = SEVERAL_IMAGES(tmp_path)
    result = cli(
        "enqueue", archive.path, "--original-tags", "--registry", registry_host, "--wait", "--json"
    )
    assert result.returncode == 0, result.stderr
    jobs = json.loads(result.stdout)
    assert [job["image"] for job in jobs] == archive.tags
    for job, image in zip(jobs, archive.images, strict=True):
        assert job["targets"] == [f"{registry_host}/{image.tags[0]}"]
        pulled = skopeo_copy_to_dir(job["targets"][0], tmp_path / job["id"])
        assert pulled.config == image.config


def test_waiting_tells_how_each_ended(
    cli: Cli,
    tar: Path,
    registry_host: str,
    repository: str,
    worker: Callable[[], ManagedProcess],
) -> None:
    worker()
    good = cli("enqueue", tar, "--to", f"{registry_host}/{repository}:1", "--wait", "--id", "good")
    assert (good.returncode, good.stdout[:23]) == (0, "good succeeded: sha256:")
    bad = tar.with_name("bad.tar")
    bad.write_text("no tar")
    target = f"{registry_host}/{repository}:2"
    failed = cli("enqueue", bad, "--remote-path", "--to", target, "--wait", "--id", "bad")
    assert failed.returncode == 2
    assert re.fullmatch(r"bad failed: .*bad\.tar.* \(invalid_archive\)\n", failed.stdout)
    down = cli(
        "enqueue", tar, "--to", f"localhost:{free_port()}/app:1", "--wait", "--give-up-after", "1"
    )
    assert down.returncode == 1
    assert "(registry_unavailable)" in down.stdout


def test_waiting_without_a_worker_warns(
    folder: Path, environment: dict[str, str], redis_url: str, namespace: str, tar: Path
) -> None:
    configured = {"PUSH_QUEUE_REDIS_URL": redis_url, "PUSH_QUEUE_NAMESPACE": namespace}
    argv = [sys.executable, "-m", "producer", "enqueue", str(tar), "--to", TARGET, "--wait"]
    with subprocess.Popen(
        argv, cwd=folder, env={**environment, **configured},
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        errors = process.stderr
        assert errors
        try:
            assert "warning: no worker is running" in errors.readline()
            assert "queued" in errors.readline()
        finally:
            process.kill()


@pytest.mark.parametrize("command", [("push",), ("enqueue", "--wait")], ids=" ".join)
def test_interrupted_it_tells_what_goes_on(
    cli: Cli,
    folder: Path,
    environment: dict[str, str],
    redis_url: str,
    namespace: str,
    tar: Path,
    command: tuple[str, ...],
) -> None:
    configured = {"PUSH_QUEUE_REDIS_URL": redis_url, "PUSH_QUEUE_NAMESPACE": namespace}
    argv = [sys.executable, "-m", "producer", *command, str(tar), "--to", TARGET]
    with subprocess.Popen(
        argv, cwd=folder, env={**environment, **configured},
        stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
    ) as process:  # fmt: skip
        errors = process.stderr
        assert errors
        try:
            _until(lambda: "queued" in errors.readline())
            process.send_signal(signal.SIGINT)
            _, output = process.communicate(timeout=60)
        finally:
            process.kill()
    assert process.returncode == -signal.SIGINT
    (job,) = json.loads(cli("list", "--json").stdout)
    assert job["state"] == "queued"
    assert output.splitlines() == [
        f"push-queue: job {job['id']} goes on; to stop it: push-queue cancel {job['id']}"
    ]


# Jobs


def test_a_damaged_job_is_not_retried(here: Cli, tar: Path, redis_url: str, namespace: str) -> None:
    here("enqueue", tar, "--to", TARGET, "--id", "damaged")
    with redis.Redis.from_url(redis_url) as client:
        client.hdel(f"{namespace}:job:damaged", "targets")
    result = here("retry", "damaged", "no-such-job")
    assert (result.returncode, result.stdout) == (1, "")
    damaged, unknown = result.stderr.splitlines()
    assert damaged.startswith("push-queue: error: damaged failed: the job's record cannot be read")
    assert "no-such-job" in unknown


def test_cancel_and_retry(here: Cli, tar: Path) -> None:
    job_id = enqueued(here, tar)
    for _ in range(2):
        cancelled = here("cancel", job_id)
        assert (cancelled.returncode, cancelled.stdout) == (0, f"{job_id} cancelled\n")
    assert here("watch", job_id).returncode == 1, "a cancelled job is no success"
    assert here("retry", job_id).stdout == f"{job_id} queued: {tar} to {TARGET}\n"
    assert json.loads(here("retry", job_id, "--json").stdout)["generation"] == 1
    assert state(here, job_id) == "queued"


def test_list_filters_and_pages(here: Cli, tar: Path) -> None:
    for number in range(3):
        enqueued(here, tar, "--id", f"job-{number}")
    here("cancel", "job-1")
    lines = here("list", "--state", "queued").stdout.splitlines()
    assert [line.split("\t")[0] for line in lines] == ["JOB", "job-2", "job-0"]
    page = json.loads(here("list", "--limit", "1", "--offset", "1", "--json").stdout)
    assert [(job["id"], job["state"]) for job in page] == [("job-1", "cancelled")]


def test_watch_writes_json_lines_until_the_end(
    cli: Cli,
    tar: Path,
    registry_host: str,
    repository: str,
    worker: Callable[[], ManagedProcess],
) -> None:
    cli("enqueue", tar, "--to", f"{registry_host}/{repository}:1", "--id", "job-1")
    worker()
    result = cli("watch", "job-1", "--json")
    assert result.returncode == 0
    states = [json.loads(line)["state"] for line in result.stdout.splitlines()]
    assert states[-1] == "succeeded"


def test_output_into_a_closed_pipe_is_quiet(
    folder: Path, environment: dict[str, str], redis_url: str, namespace: str
) -> None:
    configured = {"PUSH_QUEUE_REDIS_URL": redis_url, "PUSH_QUEUE_NAMESPACE": namespace}
    reader, writer = os.pipe()
    os.close(reader)
    result = subprocess.run(
        [sys.executable, "-m", "producer", "list"],
        cwd=folder, env={**environment, **configured},
        stdout=writer, stderr=subprocess.PIPE, timeout=60,
    )  # fmt: skip
    os.close(writer)
    assert result.stderr == b""


def test_a_full_disk_for_the_output_is_named(folder: Path, environment: dict[str, str]) -> None:
    with Path("/dev/full").open("w") as full:
        result = subprocess.run(
            [sys.executable, "-m", "producer", "--help"],
            cwd=folder, env=environment,
            stdout=full, stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
    assert result.returncode == 1
    assert result.stderr == "push-queue: error: cannot write the output: No space left on device\n"


@pytest.mark.parametrize("lost", ["2>/dev/full", "2>&-"])
@pytest.mark.parametrize(
    ("command", "code"), [("producer list", 3), ("worker", 3), ("worker --nope", 2)]
)
def test_an_error_that_nobody_can_read_has_its_exit_code(
    folder: Path, environment: dict[str, str], command: str, code: int, lost: str
) -> None:
    url = f"redis://127.0.0.1:{free_port()}"
    done = subprocess.run(
        ["sh", "-c", f"{sys.executable} -m {command} {lost}"],
        cwd=folder, env={**environment, "PUSH_QUEUE_REDIS_URL": url},
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (code, "", "")


# Bad input


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["frobnicate"], "frobnicate"),
        (["list", "--nope"], "--nope"),
        (["list", "--state", "done"], "'done'"),
        (["list", "--limit", "0"], "--limit"),
        (["list", "--limit"], "'--limit' requires an argument (see `push-queue list --help`)"),
        (["status"], "ID"),
        (["status", "no-such-job"], "no job 'no-such-job'"),
        (["watch", "no-such-job"], "no job 'no-such-job'"),
        (["cancel", "no-such-job"], "no job 'no-such-job'"),
        (["retry", "no-such-job"], "no job 'no-such-job'"),
        (["push", "{tar}"], "--to"),
        (["push", "missing.tar", "--to", TARGET], "missing.tar does not exist"),
        (["push", ".", "--to", TARGET], "is a folder without index.json"),
        (["push", "", "--to", TARGET], "the name of a tar is empty"),
        (["enqueue", "{tar}", "", "--to", TARGET], "the name of a tar is empty"),
        (["--redis-url", "http://localhost:6379", "list"], "value for --redis-url: the URL must"),
        (
            ["list", "--server", "http://h/api/v1/jobs"],
            "leave /api/v1/jobs out of the server's URL",
        ),
        (["push", "{tar}", "--to", "Foo/Bar:1"], "'Foo/Bar:1'"),
        (["push", "{tar}", "--to", TARGET, "--no-cache"], "leave out --no-cache"),
        (["enqueue", "{tar}", "--to", ""], "names no repository"),
        (["enqueue", "{tar}", "--to", "localhost:5000"], "'localhost:5000'"),
        (["enqueue", "{tar}", "--to", TARGET, "--to", TARGET], f"{TARGET} is named twice"),
        (["enqueue", "{tar}", "--to", TARGET, "--compression", "lzma"], "'lzma'"),
        (["enqueue", "{tar}", "--to", TARGET, "--platform", "arm64"], "'arm64' is not a platform"),
        (
            ["enqueue", "{tar}", "--to", TARGET, "--id", "a b"],
            "id 'a b' cannot be used; give",
        ),
        (["enqueue", "{tar}", "--to", TARGET, "--label", "x"], "NAME=VALUE"),
        (["enqueue", "{tar}", "--to", TARGET, "--max-attempts", "0"], "max_attempts"),
        (["enqueue", "{tar}", "{tar}", "--to", TARGET], "overwrite each other"),
        (["enqueue", "{tar}"], "--to REF"),
        (["enqueue", "{tar}", "--to", TARGET, "--original-tags"], "--to REF"),
        (["enqueue", "{tar}", "--original-tags"], "--registry"),
        (["enqueue", __file__, "--to", TARGET], "test_cli.py"),
        (["enqueue", "there.tar", "--to", TARGET, "--remote-path"], "not absolute"),
        (
            ["enqueue", "{tar}", "--original-tags", "--registry", "h:1", "--remote-path"],
            "--remote-path goes with --to",
        ),
        (["enqueue", "{tar}", "--to", TARGET, "--at", "2020-01-31T09:30"], "in the past"),
        (["enqueue", "{tar}", "--to", TARGET, "--registry", "h:1"], "--original-tags"),
        (["enqueue", "{tar}", "--original-tags", "--registry", "http://h"], "http://h"),
    ],
)
def test_bad_input_is_named(here: Cli, tar: Path, arguments: list[str], reason: str) -> None:
    result = here(*(argument.format(tar=tar) for argument in arguments))
    assert result.returncode == 2
    assert reason in error_of(result)
    assert len(result.stderr.splitlines()) == 1
    assert result.stdout == ""


def test_a_folder_is_not_cleaned_up(here: Cli, tmp_path: Path) -> None:
    layout = Layout()
    layout.root(layout.image(make_image()))
    folder = layout.write_folder(tmp_path / "layout")
    result = here("enqueue", str(folder), "--to", TARGET, "--cleanup")
    assert (result.returncode, result.stdout) == (2, "")
    assert error_of(result).endswith(
        "layout is a folder; --cleanup does not delete it, as it may hold other images"
    )
    result = here("enqueue", str(folder), "--to", TARGET, "--server", "http://localhost:1")
    assert (result.returncode, result.stdout) == (2, "")
    assert "layout is a folder; --server takes tars" in error_of(result)


def test_all_bad_tars_are_named_and_none_is_enqueued(here: Cli, tar: Path) -> None:
    result = here(
        "enqueue", "missing.tar", str(tar), __file__, "--original-tags", "--registry", "h:1"
    )
    assert (result.returncode, result.stdout) == (2, "")
    first, second = result.stderr.splitlines()
    assert ("missing.tar" in first, "test_cli.py" in second) == (True, True)
    assert here("list").stdout.splitlines()[1:] == []


def test_a_path_of_the_workers_is_enqueued_unseen(here: Cli) -> None:
    result = here("enqueue", "/only/there.tar", "--to", TARGET, "--remote-path")
    assert (result.returncode, result.stderr) == (0, "")
    assert "/only/there.tar" in here("list").stdout


def test_what_an_encoding_lacks_is_escaped(cli: Cli) -> None:
    cli("enqueue", "/빌드/앱.tar", "--to", TARGET, "--remote-path", "--id", "one")
    for command in (("list",), ("status", "one"), ("status", "one", "--json")):
        result = cli(*command, PYTHONIOENCODING="latin-1")
        assert (result.returncode, result.stderr) == (0, "")
        assert r"/\ube4c\ub4dc/\uc571.tar" in result.stdout


ASCII = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


def test_a_locale_without_the_letters_of_a_name_changes_no_job(
    cli: Cli, tar: Path, folder: Path
) -> None:
    named = tar.rename(folder / "빌드.tar")
    assert cli("enqueue", named, "--to", TARGET, "--id", "one", **ASCII).returncode == 0
    assert json.loads(cli("status", "one", "--json").stdout)["source"] == str(named)


def test_a_push_says_that_its_locale_lacks_the_letters_of_a_name(
    lone: Cli, tar: Path, folder: Path
) -> None:
    named = tar.rename(folder / "é.tar")
    result = lone("push", named, "--to", TARGET, **ASCII)
    assert result.returncode == 2
    said = error_of(result)
    assert "reads the names of files as ascii; start it with LC_ALL=C.UTF-8" in said
    assert "(source_unreadable)" in said


def test_what_is_typed_and_no_text_is_bad_input(cli: Cli) -> None:
    result = cli("status", "\udcff")
    assert (result.returncode, result.stdout) == (2, "")
    assert "is not UTF-8" in error_of(result)


def test_bad_input_ends_a_process_in_the_same_way(cli: Cli) -> None:
    result = cli("status", "no-such-job")
    assert (result.returncode, result.stdout) == (2, "")
    assert "no job 'no-such-job'" in error_of(result)
    assert len(result.stderr.splitlines()) == 1


def test_bad_settings_are_named(lone: Cli) -> None:
    result = lone("list", PUSH_QUEUE_MAX_JOBS="none")
    assert (result.returncode, "PUSH_QUEUE_MAX_JOBS" in error_of(result)) == (2, True)


@pytest.mark.parametrize("command", [["list"], ["enqueue", "{tar}", "--to", TARGET]])
def test_no_redis_is_said_without_the_password(lone: Cli, tar: Path, command: list[str]) -> None:
    port = free_port()
    url = f"redis://:correct-horse@127.0.0.1:{port}/0"
    result = lone("--redis-url", url, *(part.format(tar=tar) for part in command))
    assert result.returncode == 3
    assert f"cannot reach Redis at 127.0.0.1:{port}" in error_of(result)
    assert "correct-horse" not in result.stderr


@pytest.mark.parametrize("arguments", [[], ["--help"], ["enqueue", "--help"], ["push", "--help"]])
def test_help(lone: Cli, arguments: list[str]) -> None:
    result = lone(*arguments)
    assert (result.returncode, result.stderr) == (0, "")
    assert "Usage: push-queue" in result.stdout


def test_help_is_whole_on_a_narrow_terminal(lone: Cli) -> None:
    result = lone("enqueue", "--help", COLUMNS="60")
    assert "…" not in result.stdout
    for option in ("--original-tags", "--compression <gzip|zstd|keep>", "--give-up-after TIME"):
        assert option in result.stdout
    assert max(map(len, result.stdout.splitlines())) <= 60


def test_what_is_mistyped_leads_to_the_command_s_help(lone: Cli) -> None:
    assert error_of(lone("list", "--sate", "x")).endswith("(see `push-queue list --help`)")
    assert error_of(lone("frob")).endswith("(see `push-queue --help`)")


# Several jobs, and waiting for them


def test_each_of_several_jobs_is_told_of(cli: Cli, tar: Path) -> None:
    ids = [enqueued(cli, tar), enqueued(cli, tar)]
    result = cli("status", ids[0], "no-such-job", ids[1])
    assert result.returncode == 2
    assert all(f"Job         {job_id}\n" in result.stdout for job_id in ids)
    assert error_of(result).startswith("push-queue: error: no job 'no-such-job'")
    assert [job["id"] for job in json.loads(cli("status", *ids, "--json").stdout)] == ids
    cancelled = cli("cancel", ids[0], "no-such-job", ids[1])
    assert (cancelled.returncode, cancelled.stdout) == (2, "".join(f"{i} cancelled\n" for i in ids))
    again = cli("retry", *ids)
    assert again.returncode == 0
    assert [line.split(" ")[:2] for line in again.stdout.splitlines()] == [
        [job_id, "queued:"] for job_id in ids
    ]


def test_waiting_ends_with_the_timeout_and_the_jobs_go_on(cli: Cli, tar: Path) -> None:
    job_id = enqueued(cli, tar)
    for arguments in (
        ("watch", job_id, "--timeout", "1"),
        ("enqueue", tar, "--to", TARGET, "--id", job_id, "--wait", "--timeout", "1s"),
    ):
        result = cli(*arguments)
        assert result.returncode == 4
        assert error_of(result).endswith(f"these jobs go on: {job_id}")
    assert cli("watch", "--timeout", "1").returncode == 4
    assert state(cli, job_id) == "queued"
    assert cli("enqueue", tar, "--to", TARGET, "--timeout", "1").returncode == 2


def test_a_second_ctrl_c_cancels_what_the_first_left(
    folder: Path, environment: dict[str, str], cli: Cli, redis_url: str, namespace: str, tar: Path
) -> None:
    configured = {"PUSH_QUEUE_REDIS_URL": redis_url, "PUSH_QUEUE_NAMESPACE": namespace}
    keyboard, terminal = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-m", "producer", "enqueue", tar, "--to", TARGET, "--id", "a", "--wait"],
        cwd=folder,
        env={**environment, **configured},
        stdin=terminal,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        errors = process.stderr
        assert errors
        try:
            _until(lambda: "queued" in errors.readline())
            process.send_signal(signal.SIGINT)
            _until(lambda: "press Ctrl-C again" in errors.readline())
            process.send_signal(signal.SIGINT)
            rest = errors.read()
            process.wait(timeout=60)
        finally:
            process.kill()
            os.close(keyboard)
            os.close(terminal)
    assert process.returncode == -signal.SIGINT
    assert "job a: cancelled" in rest
    assert state(cli, "a") == "cancelled"


@pytest.mark.parametrize("arguments", [("-h",), ("status", "-h")])
def test_help_has_a_short_name(here: Cli, arguments: tuple[str, ...]) -> None:
    result = here(*arguments)
    assert result.returncode == 0
    assert "Usage: push-queue" in result.stdout


def test_what_cannot_be_asked_is_not_called_different(here: Cli, tar: Path) -> None:
    host = f"localhost:{free_port()}"
    result = here("verify", f"{host}/app:1", tar)
    assert result.returncode == 4
    assert host in error_of(result)
