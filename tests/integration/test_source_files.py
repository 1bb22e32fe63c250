"""Tars that change while workers push them: replaced, written to, shared, cleaned up."""

# ruff: noqa: ASYNC240 - a few small files
import asyncio
import hashlib
import random
from pathlib import Path

import pytest

from producer import JobState, PushQueue
from tests.support.big_images import BigArchive, write_big_archive
from tests.support.images import blob_path, layer_tar, make_image
from tests.support.layouts import Layout
from tests.support.proxy import FaultProxy, is_patch
from tests.support.servers import StartWorker
from tests.support.skopeo import decompress
from tests.support.spec_registry import SpecRegistry

pytestmark = pytest.mark.integration


LAYERS = [12_000_000, 12_000_000]
HELD_AT = 1_000_000
WAIT_SECONDS = 60.0


def start(worker: StartWorker, roots: Path) -> None:
    # One blob after the other: the second layer is not read before the first has been sent.
    worker(PUSH_QUEUE_SOURCE_ROOTS=str(roots), PUSH_QUEUE_JOB_UPLOADS="1")


def pushed_diff_ids(registry: SpecRegistry, tag: str) -> list[str]:
    blobs = registry.repositories["app"].blobs
    layers = [
        decompress(blobs[layer["digest"]]) for layer in registry.manifest("app", tag)["layers"]
    ]
    return [f"sha256:{hashlib.sha256(layer).hexdigest()}" for layer in layers]


@pytest.fixture
def images(tmp_path: Path) -> Path:
    (tmp_path / "images").mkdir()
    return tmp_path / "images"


@pytest.fixture
def build_1(images: Path) -> BigArchive:
    return write_big_archive(images / "app.tar", LAYERS)


async def test_the_next_build_takes_the_name_in_mid_push(
    images: Path, build_1: BigArchive, queue: PushQueue, worker: StartWorker
) -> None:
    build_2 = write_big_archive(images / "next.tar", LAYERS, seed=7)
    start(worker, images)
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        hold = proxy.hold(is_patch, after=HELD_AT)
        first = await queue.enqueue(build_1.path, f"{proxy.host}/app:1", cleanup=True)
        await asyncio.wait_for(hold.reached.wait(), WAIT_SECONDS)
        build_2.path.rename(build_1.path)
        hold.release()
        done = await queue.wait(first.id, timeout=WAIT_SECONDS)
        assert (done.state, done.cleanup_outcome) == (JobState.SUCCEEDED, "kept: changed since")
        assert pushed_diff_ids(registry, "1") == build_1.diff_ids

        second = await queue.enqueue(build_1.path, f"{proxy.host}/app:2", cleanup=True)
        done = await queue.wait(second.id, timeout=WAIT_SECONDS)
        assert (done.state, done.cleanup_outcome) == (JobState.SUCCEEDED, "deleted")
        assert pushed_diff_ids(registry, "2") == build_2.diff_ids
        assert list(images.iterdir()) == []


async def test_a_tar_that_is_written_to_in_mid_push_fails_and_is_kept(
    images: Path, build_1: BigArchive, queue: PushQueue, worker: StartWorker
) -> None:
    start(worker, images)
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        hold = proxy.hold(is_patch, after=HELD_AT)
        job = await queue.enqueue(build_1.path, f"{proxy.host}/app:1", cleanup=True)
        await asyncio.wait_for(hold.reached.wait(), WAIT_SECONDS)
        with build_1.path.open("ab") as file:
            file.write(b"more")
        hold.release()
        done = await queue.wait(job.id, timeout=WAIT_SECONDS)
        assert (done.state, done.error_kind) == (JobState.FAILED, "source_changed")
        assert registry.repositories["app"].tags == {}
        assert build_1.path.exists()


async def test_a_folder_becomes_a_link_out_of_the_roots_in_mid_push(
    images: Path, tmp_path: Path, queue: PushQueue, worker: StartWorker
) -> None:
    (images / "nightly").mkdir()
    build = write_big_archive(images / "nightly/app.tar", LAYERS)
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "app.tar").hardlink_to(build.path)  # even the very same file
    start(worker, images)
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        hold = proxy.hold(is_patch, after=HELD_AT)
        job = await queue.enqueue(build.path, f"{proxy.host}/app:1", cleanup=True)
        await asyncio.wait_for(hold.reached.wait(), WAIT_SECONDS)
        (images / "nightly").rename(images / "moved")
        (images / "nightly").symlink_to(outside)
        hold.release()
        done = await queue.wait(job.id, timeout=WAIT_SECONDS)
        assert (done.state, done.cleanup_outcome) == (JobState.SUCCEEDED, "kept: changed since")
        assert pushed_diff_ids(registry, "1") == build.diff_ids
        assert (outside / "app.tar").exists()


async def test_jobs_of_one_tar_all_succeed_and_the_last_deletes_it(
    images: Path, build_1: BigArchive, queue: PushQueue, worker: StartWorker
) -> None:
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        jobs = [
            await queue.enqueue(build_1.path, f"{proxy.host}/app:{tag}", cleanup=True)
            # Of the jobs for one tag, the older are superseded.
            for tag in ("1", "1", "2", "3")
        ]
        start(worker, images)
        start(worker, images)
        done = [await queue.wait(job.id, timeout=WAIT_SECONDS) for job in jobs]
        assert {job.state for job in done} <= {JobState.SUCCEEDED, JobState.SUPERSEDED}
        outcomes = sorted(str(job.cleanup_outcome) for job in done)
        assert outcomes == ["deleted", *["kept: another job needs it"] * 3]
        assert not build_1.path.exists()


def write_big_layout(folder: Path) -> tuple[Layout, Path]:
    """A layout of one image, and the file of its layer, which no compression makes small."""
    layout = Layout()
    image = make_image(layer_tar({"data": random.Random(3).randbytes(8 << 20)}))
    layout.root(layout.plain_image(image))
    layout.write_folder(folder)
    return layout, folder / blob_path(image.layers[0])


async def test_a_layout_is_pushed_from_its_folder_which_is_kept(
    images: Path, queue: PushQueue, worker: StartWorker
) -> None:
    layout, _ = write_big_layout(images / "layout")
    start(worker, images)
    async with SpecRegistry() as registry:
        job = await queue.enqueue(
            images / "layout", f"{registry.host}/app:1", compression="keep", cleanup=True
        )
        done = await queue.wait(job.id, timeout=WAIT_SECONDS)
        assert (done.state, done.digest) == (JobState.SUCCEEDED, layout.roots[0]["digest"])
        assert done.cleanup_outcome == "kept: a folder, which may hold other images"
        assert (images / "layout/index.json").exists()


async def test_a_layer_in_a_folder_that_is_written_to_in_mid_push_fails_the_job(
    images: Path, queue: PushQueue, worker: StartWorker
) -> None:
    _, layer = write_big_layout(images / "layout")
    start(worker, images)
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        hold = proxy.hold(is_patch, after=HELD_AT)
        job = await queue.enqueue(images / "layout", f"{proxy.host}/app:1")
        await asyncio.wait_for(hold.reached.wait(), WAIT_SECONDS)
        with layer.open("ab") as file:
            file.write(b"more")
        hold.release()
        done = await queue.wait(job.id, timeout=WAIT_SECONDS)
        assert (done.state, done.error_kind) == (JobState.FAILED, "source_changed")
        assert registry.repositories["app"].tags == {}
