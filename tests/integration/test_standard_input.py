"""`docker save app | push-queue push -`: layers are sent while the tar comes, each once."""

import asyncio
import os
import pty
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from registry_api_v2_client import (
    OpenUploads,
    PushedImage,
    PushProgress,
    RegistryClient,
    RegistryUnavailableError,
    RetryPolicy,
    TarReadError,
    TarStream,
    parse_reference,
)
from tests.support.big_images import write_big_archive
from tests.support.images import (
    ARCHIVES,
    SEVERAL_IMAGES,
    docker_legacy,
    gzip_bytes,
    layer_tar,
    make_image,
    oci_blobs,
    tar_bytes,
)
from tests.support.pipes import piped
from tests.support.proxy import FaultProxy, is_blob_put, is_manifest_put, is_patch
from tests.support.pushes import FEW_AND_FAST
from tests.support.servers import clean_environment
from tests.support.skopeo import skopeo_copy_to_dir
from tests.support.spec_registry import SpecRegistry
from tests.support.waiting import becomes

pytestmark = pytest.mark.integration

IMAGE = make_image()
BIG = make_image(layer_tar({"one": os.urandom(3 << 20)}), layer_tar({"two": os.urandom(3 << 20)}))
TAR = tar_bytes(oci_blobs((BIG,)))
MIB = 1 << 20


async def push(pipe: int, *targets: str, image: str | None = None) -> PushedImage:
    async with RegistryClient(retry=FEW_AND_FAST) as client:
        with TarStream(pipe) as stream:
            return await client.push(stream, [*map(parse_reference, targets)], image=image)


# What arrives


@pytest.mark.parametrize("name", ARCHIVES)
async def test_every_kind_of_archive_arrives_as_from_a_file(name: str, tmp_path: Path) -> None:
    path = ARCHIVES[name](tmp_path).path
    async with SpecRegistry() as registry, RegistryClient() as client:
        file = await client.push(path, [parse_reference(f"{registry.host}/file:1")])
    async with SpecRegistry() as registry:
        with piped([path.read_bytes()]) as pipe:
            pushed = await push(pipe, f"{registry.host}/app:1")
        assert (pushed.digest, pushed.notes) == (file.digest, ())


@pytest.mark.parametrize("members", [oci_blobs, docker_legacy])
async def test_skopeo_reads_it_back(
    members: object, registry_host: str, repository: str, tmp_path: Path
) -> None:
    target = f"{registry_host}/{repository}:1"
    with piped([gzip_bytes(tar_bytes(members((IMAGE,))))]) as pipe:  # type: ignore[operator]
        await push(pipe, target)
    assert skopeo_copy_to_dir(target, tmp_path / "back").contents == list(IMAGE.layers)


async def test_layers_are_at_the_registry_before_the_tar_ends() -> None:
    there = threading.Event()
    manifests = TAR.index(b"index.json\0")

    def parts() -> Iterator[bytes]:
        yield TAR[:manifests]
        there.wait(60)
        yield TAR[manifests:]

    async with SpecRegistry() as registry:

        async def has_all_layers() -> bool:
            return len(registry.repository("app").blobs) == len(BIG.layers)

        with piped(parts()) as pipe:
            pushing = asyncio.create_task(push(pipe, f"{registry.host}/app:1"))
            try:
                await becomes(has_all_layers)
                assert not registry.repository("app").tags
            finally:
                there.set()
            pushed = await pushing
        assert registry.repository("app").tags == {"1": pushed.digest}


async def test_each_layer_is_sent_once_and_reported_as_sent() -> None:
    progress = PushProgress()
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        async with RegistryClient() as client:
            with piped([TAR]) as pipe, TarStream(pipe) as stream:
                await client.push(
                    stream, [parse_reference(f"{proxy.host}/app:1")], on_progress=progress.update
                )
        assert proxy.count(is_patch) == len(BIG.layers)
    assert progress.totals.blobs_done == progress.totals.blobs_total == len(BIG.layers) + 1
    assert progress.totals.bytes_saved == 0
    assert progress.totals.bytes_sent > sum(map(len, BIG.layers)) * 0.9


async def test_a_layer_that_is_known_is_not_sent() -> None:
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        async with RegistryClient() as client:
            for tag in ("1", "2"):
                with piped([TAR]) as pipe, TarStream(pipe) as stream:
                    await client.push(stream, [parse_reference(f"{proxy.host}/app:{tag}")])
        assert proxy.count(is_patch) == len(BIG.layers)
        assert len(registry.repository("app").tags) == 2


async def test_layers_of_other_images_are_noted(tmp_path: Path) -> None:
    built = SEVERAL_IMAGES(tmp_path)
    async with SpecRegistry() as registry:
        with piped([built.path.read_bytes()]) as pipe:
            pushed = await push(pipe, f"{registry.host}/app:1", image=built.images[0].tags[0])
    assert [" layers of " in note for note in pushed.notes] == [True]
    assert "belong to other images" in pushed.notes[0]


# What goes wrong


async def test_a_writer_that_dies_tags_nothing() -> None:
    async with SpecRegistry() as registry:
        suspected = pytest.raises(TarReadError, match="did the command that writes it fail")
        with piped([TAR[: len(TAR) // 2]]) as pipe, suspected:
            await push(pipe, f"{registry.host}/app:1")
        assert not registry.repository("app").tags
        assert not registry.repository("app").uploads


@pytest.mark.parametrize("after", [0, 2 * MIB])
async def test_a_cut_loses_nothing(after: int) -> None:
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        proxy.cut(is_patch, after=after)
        proxy.cut(is_blob_put)
        proxy.cut(is_manifest_put)
        with piped([TAR]) as pipe:
            pushed = await push(pipe, f"{proxy.host}/app:1")
        assert registry.repository("app").tags == {"1": pushed.digest}


async def test_a_target_that_was_down_gets_its_image_from_the_same_stream() -> None:
    async with SpecRegistry() as one, SpecRegistry() as other, FaultProxy(other.url) as proxy:
        proxy.answer(lambda _: True, status=503, times=1000)
        up, down = parse_reference(f"{one.host}/app:1"), parse_reference(f"{proxy.host}/app:1")
        retry = RetryPolicy(attempts=2, base=0.01)
        async with RegistryClient(retry=retry) as client:
            with piped([TAR]) as pipe, TarStream(pipe) as stream:
                with pytest.raises(Exception, match="503"):
                    await client.push(stream, [up, down], uploads=OpenUploads())
                assert set(one.repository("app").tags) == {"1"}
                proxy._faults.clear()
                pushed = await client.push(stream, [down])
        assert other.repository("app").tags == {"1": pushed.digest}


async def test_a_push_that_found_no_registry_goes_on_where_it_was() -> None:
    async with SpecRegistry() as registry:
        target = parse_reference(f"{registry.host}/app:1")
        away = parse_reference("127.0.0.1:1/app:1")
        async with RegistryClient(retry=RetryPolicy(attempts=1)) as client:
            with piped([TAR]) as pipe, TarStream(pipe) as stream:
                for _ in range(2):
                    with pytest.raises(RegistryUnavailableError):
                        await client.push(stream, [away])
                pushed = await client.push(stream, [target])
        assert registry.repository("app").tags == {"1": pushed.digest}


# The command


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    return {**clean_environment(), "XDG_CACHE_HOME": str(tmp_path / "cache")}


def command(*arguments: str) -> list[str]:
    return [sys.executable, "-m", "producer", "push", "-", *arguments]


@pytest.mark.parametrize("redis", ["", "redis://127.0.0.1:1"])
async def test_it_is_pushed_from_here_even_where_there_is_a_queue(
    redis: str, environment: dict[str, str], tmp_path: Path
) -> None:
    if redis:
        environment = {**environment, "PUSH_QUEUE_REDIS_URL": redis}
    async with SpecRegistry() as registry:
        process = await asyncio.create_subprocess_exec(
            *command("--to", f"{registry.host}/app:1", "--no-cache"),
            cwd=tmp_path, env=environment,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=None,
        )  # fmt: skip
        output, _ = await asyncio.wait_for(process.communicate(TAR), 60)
        assert process.returncode == 0
        assert registry.repository("app").tags == {"1": output.decode().strip()}


async def test_an_outage_is_outlasted(environment: dict[str, str], tmp_path: Path) -> None:
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        proxy.answer(is_patch, status=503, times=12)
        process = await asyncio.create_subprocess_exec(
            *command("--to", f"{proxy.host}/app:1"),
            cwd=tmp_path, env=environment, stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        output, progress = await asyncio.wait_for(process.communicate(TAR), 90)
        assert registry.repository("app").tags == {"1": output.decode().strip()}
    # More than retries of a request get over; an answer to half a body may be lost with it.
    assert b"tried again until" in progress


@pytest.mark.parametrize(
    ("content", "what"),
    [(b"", "is empty"), (b"Error: no such image\n", "is not a readable tar")],
)
def test_what_is_no_tar_is_one_line(
    content: bytes, what: str, environment: dict[str, str], tmp_path: Path
) -> None:
    done = subprocess.run(
        command("--to", "127.0.0.1:1/app:1"),
        input=content, capture_output=True, cwd=tmp_path, env=environment, timeout=60,
    )  # fmt: skip
    assert done.returncode == 2
    *_, last = done.stderr.decode().splitlines()
    assert last.startswith(f"push-queue: error: standard input {what}")


def test_a_terminal_is_refused_with_advice(environment: dict[str, str], tmp_path: Path) -> None:
    keyboard, terminal = pty.openpty()
    try:
        done = subprocess.run(
            command("--to", "127.0.0.1:1/app:1"),
            stdin=terminal, capture_output=True, cwd=tmp_path, env=environment, timeout=60,
        )  # fmt: skip
    finally:
        os.close(keyboard)
        os.close(terminal)
    assert done.returncode == 2
    assert b"is a terminal; pipe a tar into it, such as: docker save app |" in done.stderr


async def test_ctrl_c_while_nothing_comes(environment: dict[str, str], tmp_path: Path) -> None:
    async with SpecRegistry() as registry:
        process = await asyncio.create_subprocess_exec(
            *command("--to", f"{registry.host}/app:1"),
            cwd=tmp_path, env=environment, stdin=asyncio.subprocess.PIPE, stderr=None,
        )  # fmt: skip
        assert process.stdin
        process.stdin.write(TAR[: len(TAR) // 3])

        async def is_sending() -> bool:
            return any(registry.repository("app").uploads.values())

        await becomes(is_sending)
        process.send_signal(signal.SIGINT)
        assert await asyncio.wait_for(process.wait(), 60) == -signal.SIGINT
        assert not registry.repository("app").uploads
        assert not registry.repository("app").tags
        process.stdin.close()


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
def test_memory_does_not_grow_with_the_image(
    registry_url: str, repository: str, tmp_path: Path
) -> None:
    program = """
import asyncio, pathlib, sys
from registry_api_v2_client import RegistryClient, TarStream, parse_reference
async def main():
    async with RegistryClient() as client:
        with TarStream(0) as stream:
            await client.push(stream, [parse_reference(sys.argv[1])])
asyncio.run(main())
print(pathlib.Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
    host = registry_url.removeprefix("http://")
    big = write_big_archive(tmp_path / "big.tar", [160 * MIB])
    with big.path.open("rb") as tar:
        done = subprocess.run(
            [sys.executable, "-c", program, f"{host}/{repository}:1"],
            stdin=tar, capture_output=True, check=True, env=clean_environment(),
        )  # fmt: skip
    assert int(done.stdout) * 1024 < 150 * MIB
