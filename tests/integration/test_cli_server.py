"""Commands with `--server`: no Redis at hand, and no folder in common with the workers."""
# ruff: noqa: ASYNC240 - files of a few megabytes

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from push_queue.settings.api_tokens import hash_of
from tests.support.api_server import ApiServer, Serve
from tests.support.big_images import write_big_archive
from tests.support.commands import error_of
from tests.support.images import SEVERAL_IMAGES
from tests.support.processes import free_port
from tests.support.proxy import FaultProxy, Request, is_patch
from tests.support.servers import StartWorker, clean_environment
from tests.support.skopeo import skopeo_inspect

pytestmark = pytest.mark.integration

TARGET = "localhost:15000/app:1"
MIB = 1 << 20
TOKEN = "pq_of-ci"
TOKENS = json.dumps({"ci": {"role": "enqueue", "targets": ["*/*"], "sha256": hash_of(TOKEN)}})

Cli = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture
def cli(folder: Path) -> Cli:
    """`push-queue` without a Redis."""

    def run(
        *arguments: object, stdin: Path | None = None, **env: str
    ) -> subprocess.CompletedProcess[str]:
        with (stdin or Path(os.devnull)).open("rb") as given:
            return subprocess.run(
                [sys.executable, "-m", "producer", *map(str, arguments)],
                cwd=folder,
                env=clean_environment(**env),
                stdin=given,
                capture_output=True,
                text=True,
                timeout=120,
            )

    return run


def is_new_upload(request: Request) -> bool:
    return (request.method, request.path) == ("POST", "/api/v1/uploads")


def test_a_tar_is_uploaded_and_pushed_as_with_redis(
    cli: Cli,
    server: ApiServer,
    worker: StartWorker,
    spool: Path,
    tar: Path,
    registry_host: str,
    repository: str,
) -> None:
    worker(PUSH_QUEUE_SPOOL=str(spool))
    target = f"{registry_host}/{repository}:1"
    options = ("--to", target, "--id", "b1", "--label", "team=a", "--wait", "--server", server.url)
    done = cli("enqueue", tar, *options)
    assert done.returncode == 0, done.stderr
    digest = skopeo_inspect(target)["Digest"]
    assert done.stdout == f"b1 succeeded: {digest}\n"
    assert not list(spool.glob("*.tar"))
    (job,) = json.loads(cli("list", "--json", PUSH_QUEUE_SERVER=server.url).stdout)
    assert (job["id"], job["labels"], job["max_attempts"]) == ("b1", {"team": "a"}, 5)
    assert "blobs" not in job
    shown = json.loads(cli("status", "b1", "--json", PUSH_QUEUE_SERVER=server.url).stdout)
    assert {blob["how"] for blob in shown["blobs"]} == {"uploaded"}
    assert [attempt["outcome"] for attempt in shown["attempts"]] == ["succeeded"]


def test_standard_input_is_uploaded_and_pushed(
    cli: Cli,
    server: ApiServer,
    worker: StartWorker,
    spool: Path,
    tar: Path,
    registry_host: str,
    repository: str,
) -> None:
    worker(PUSH_QUEUE_SPOOL=str(spool))
    target = f"{registry_host}/{repository}:1"
    done = cli("enqueue", "-", "--to", target, "--wait", "--server", server.url, stdin=tar)
    assert done.returncode == 0, done.stderr
    assert skopeo_inspect(target)["Digest"] in done.stdout


def test_the_images_of_a_tar_need_one_upload(
    cli: Cli, server: ApiServer, spool: Path, tmp_path: Path
) -> None:
    tar = SEVERAL_IMAGES(tmp_path).path
    done = cli("enqueue", tar, "--original-tags", "--registry", "h:1", "--server", server.url)
    assert len(done.stdout.split()) > 1
    assert len(list(spool.glob("*.tar"))) == 1


def test_jobs_are_cancelled_retried_and_watched(cli: Cli, server: ApiServer, tar: Path) -> None:
    at = ("--server", server.url)
    job_id = cli("enqueue", tar, "--to", TARGET, *at).stdout.strip()
    assert cli("cancel", job_id, *at).stdout.split()[:2] == [job_id, "cancelled"]
    watched = cli("watch", job_id, "--json", *at)
    assert (watched.returncode, json.loads(watched.stdout)["state"]) == (1, "cancelled")
    assert cli("retry", job_id, *at).stdout.split()[:2] == [job_id, "queued:"]
    assert cli("watch", job_id, "--timeout", "1s", *at).returncode == 4
    done = cli("status", "nobody", *at)
    assert (done.returncode, "no job 'nobody'" in error_of(done)) == (2, True)


async def test_the_same_id_is_uploaded_once(cli: Cli, server: ApiServer, tar: Path) -> None:
    async with FaultProxy(server.url) as proxy:
        at = ("--id", "b1", "--server", proxy.url)
        for _ in range(2):
            done = await asyncio.to_thread(cli, "enqueue", tar, "--to", TARGET, *at)
            assert (done.returncode, done.stdout) == (0, "b1\n"), done.stderr
        other = await asyncio.to_thread(cli, "enqueue", tar, "--to", "localhost:15000/b:1", *at)
        assert other.returncode == 2
        assert "job b1 exists, with targets" in error_of(other)
        assert proxy.count(is_new_upload) == 1


async def test_a_cut_in_the_middle_is_not_noticed(
    cli: Cli, server: ApiServer, tmp_path: Path, spool: Path
) -> None:
    tar = write_big_archive(tmp_path / "big.tar", [8 * MIB]).path
    async with FaultProxy(server.url) as proxy:
        proxy.cut(is_patch, after=5 * MIB)
        at = ("--to", TARGET, "--server", proxy.url)
        done = await asyncio.to_thread(cli, "enqueue", tar, *at)
        assert (done.returncode, done.stderr) == (0, "")
        assert proxy.count(is_patch) > 1
    (uploaded,) = spool.glob("*.tar")
    assert uploaded.read_bytes() == tar.read_bytes()


async def test_a_server_that_is_killed_and_started_again_is_waited_for(
    cli: Cli, server: ApiServer, tmp_path: Path, spool: Path
) -> None:
    tar = write_big_archive(tmp_path / "big.tar", [8 * MIB]).path
    async with FaultProxy(server.url) as proxy:
        hold = proxy.hold(is_patch, after=5 * MIB)
        at = ("--to", TARGET, "--server", proxy.url)
        enqueueing = asyncio.create_task(asyncio.to_thread(cli, "enqueue", tar, *at))
        await hold.reached.wait()
        server.process.kill()
        server.process.start()
        done = await enqueueing
        assert (done.returncode, done.stderr) == (0, "")
    (uploaded,) = spool.glob("*.tar")
    assert uploaded.read_bytes() == tar.read_bytes()


def test_a_token_is_shown(cli: Cli, serve: Serve, spool: Path, tar: Path, tmp_path: Path) -> None:
    server = serve(PUSH_QUEUE_SPOOL=str(spool), PUSH_QUEUE_API_TOKENS=TOKENS)
    file = tmp_path / "token"
    file.write_text(f"{TOKEN}\n")
    at = ("--to", TARGET, "--server", server.url)
    assert cli("enqueue", tar, *at, "--token-file", file).returncode == 0
    assert cli("enqueue", tar, *at, PUSH_QUEUE_TOKEN=TOKEN).returncode == 0
    for env in ({}, {"PUSH_QUEUE_TOKEN": "another"}):
        done = cli("enqueue", tar, *at, **env)
        assert done.returncode == 2
        assert "token" in error_of(done)
        assert "another" not in done.stderr


def test_a_server_that_is_away_is_named(cli: Cli) -> None:
    url = f"http://127.0.0.1:{free_port()}"
    done = cli("cancel", "x", "--server", url)
    assert done.returncode == 3
    assert f"cannot reach {url}" in error_of(done)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("-", "--to", TARGET), "- is standard input, which only --server takes"),
        (("TAR", "--to", TARGET, "--cleanup", "--server", "http://h"), "an upload is deleted any"),
        (("-", "-", "--to", TARGET, "--server", "http://h"), "- is one tar"),
        (
            ("-", "--original-tags", "--registry", "h:1", "--server", "http://h"),
            "write it to a file, not to -",
        ),
        (("TAR", "--to", TARGET, "--server", "host"), "'host' is not the URL of a server"),
        (
            ("TAR", "--to", TARGET, "--server", "http://[::1", "--token-file", "TAR"),
            "'http://[::1' is not the URL of a server",
        ),
        (("TAR", "--to", TARGET, "--token-file", "t"), "--token-file goes with --server"),
        (
            ("TAR", "--to", TARGET, "--server", "http://h", "--token-file", "t"),
            "--token-file t cannot be read",
        ),
    ],
)
def test_bad_input_is_named(cli: Cli, tar: Path, arguments: tuple[str, ...], words: str) -> None:
    given: list[Any] = [tar if argument == "TAR" else argument for argument in arguments]
    done = cli("enqueue", *given)
    assert done.returncode == 2
    assert words in error_of(done)


def test_what_is_no_image_is_refused_at_either_end(
    cli: Cli, server: ApiServer, spool: Path, tmp_path: Path
) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("no tar at all")
    at = ("--to", TARGET, "--server", server.url)
    done = cli("enqueue", file, *at)
    assert (done.returncode, "notes.txt" in error_of(done)) == (2, True)
    assert not list(spool.iterdir())
    done = cli("enqueue", "-", *at, stdin=file)
    assert (done.returncode, "standard input is not a" in error_of(done)) == (2, True)
    assert not list(spool.iterdir())


def test_nothing_is_left_of_a_tar_whose_target_is_not_allowed(
    cli: Cli, serve: Serve, spool: Path, tar: Path
) -> None:
    server = serve(PUSH_QUEUE_SPOOL=str(spool), PUSH_QUEUE_API_TOKENS=TOKENS.replace("*/*", "x/*"))
    done = cli("enqueue", tar, "--to", TARGET, "--server", server.url, PUSH_QUEUE_TOKEN=TOKEN)
    assert (done.returncode, TARGET in error_of(done)) == (2, True)
    assert not list(spool.iterdir())
