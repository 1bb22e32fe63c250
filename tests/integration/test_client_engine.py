"""The push engine over HTTP: what is requested, mounted, shared, reported, cleaned up."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from registry_api_v2_client.api.registry import Registry
from registry_api_v2_client.api.transport import Transport
from registry_api_v2_client.archive.image_archive import ImageArchive
from registry_api_v2_client.exceptions import (
    ArchiveDigestError,
    DeniedError,
    RegistryError,
    RegistryUnavailableError,
)
from registry_api_v2_client.push.compression import CompressionPolicy
from registry_api_v2_client.push.engine import ImagePusher
from registry_api_v2_client.push.image_push import PushedImage
from registry_api_v2_client.push.ledger import MemoryLedger
from registry_api_v2_client.push.manifest_push import Target
from registry_api_v2_client.push.progress import BlobProgress, BlobState, PushProgress
from registry_api_v2_client.push.upload_limits import LocalLimits
from registry_api_v2_client.retry import RetryPolicy
from tests.support.big_images import write_big_archive
from tests.support.broken_images import LYING_DIGEST
from tests.support.images import (
    APP_LAYER,
    ARCHIVES,
    BASE_LAYER,
    docker_legacy,
    make_image,
    sha256_digest,
    write_archive,
)
from tests.support.proxy import FaultProxy, Request, is_blob_put, is_manifest_put, is_patch
from tests.support.skopeo import decompress
from tests.support.spec_registry import SpecRegistry

pytestmark = pytest.mark.integration

FEW_AND_FAST = RetryPolicy(attempts=3, base=0.01)


@pytest.fixture
async def pusher() -> AsyncIterator[ImagePusher]:
    pusher = ImagePusher(retry=FEW_AND_FAST)
    yield pusher
    pusher.close()


async def push(
    pusher: ImagePusher,
    path: Path,
    url: str,
    *repositories: str,
    compression: CompressionPolicy = CompressionPolicy.GZIP,
    on_progress: Callable[[BlobProgress], None] = lambda _: None,
    patience: float = 30,
) -> PushedImage:
    """Push the only image of a tar as `repository:1` to each of the repositories."""
    async with Transport(timeout=patience, commit_timeout=patience) as transport:
        targets = [Target(Registry(transport, url), name, ("1",)) for name in repositories]
        with ImageArchive(path) as archive:
            return await pusher.push(
                archive, archive.select(), targets, compression=compression, on_progress=on_progress
            )


def uploads(registry: SpecRegistry, repository: str) -> int:
    """How many uploads (or mounts) were started in a repository."""
    return registry.requests["POST", f"/v2/{repository}/blobs/uploads/"]


def blob_contents(registry: SpecRegistry, repository: str) -> list[bytes]:
    stored = registry.repositories[repository].blobs
    layers = registry.manifest(repository, "1")["layers"]
    return [decompress(stored[layer["digest"]]) for layer in layers]


def no_bytes_left(registry: SpecRegistry, repository: str) -> bool:
    """Whether no upload session was left behind that holds anything.

    An empty one cannot always be helped: its Location was still on the way when the push ended.
    """
    return not any(registry.repository(repository).uploads.values())


def is_upload(request: Request) -> bool:
    return is_patch(request) or is_blob_put(request)


# Sharing


async def test_a_second_repository_of_the_registry_is_mounted(
    pusher: ImagePusher, tmp_path: Path
) -> None:
    path = ARCHIVES["docker-legacy"](tmp_path).path
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        pushed = await push(pusher, path, proxy.url, "one", "two")
        assert proxy.bytes_sent("/v2/one/blobs/") > 0
        assert proxy.bytes_sent("/v2/two/blobs/") == 0
        assert blob_contents(registry, "two") == [BASE_LAYER, APP_LAYER]
        tagged = [registry.repositories[name].tags["1"] for name in ("one", "two")]
        assert tagged == [pushed.digest] * 2


async def test_where_mounts_are_refused_the_blob_is_sent(
    pusher: ImagePusher, tmp_path: Path
) -> None:
    path = ARCHIVES["docker-legacy"](tmp_path).path
    async with SpecRegistry(mounts=False) as registry:
        await push(pusher, path, registry.url, "one", "two")
        assert blob_contents(registry, "two") == [BASE_LAYER, APP_LAYER]
        assert all(no_bytes_left(registry, name) for name in ("one", "two"))


async def test_knowledge_that_is_out_of_date_does_no_harm(
    pusher: ImagePusher, tmp_path: Path
) -> None:
    path = ARCHIVES["docker-legacy"](tmp_path).path
    async with SpecRegistry() as registry:
        await push(pusher, path, registry.url, "one")
        registry.repositories.clear()
        await push(pusher, path, registry.url, "one", "two")
        assert blob_contents(registry, "one") == [BASE_LAYER, APP_LAYER]
        assert blob_contents(registry, "two") == [BASE_LAYER, APP_LAYER]


async def test_pushes_at_the_same_time_send_a_shared_layer_once(
    pusher: ImagePusher, tmp_path: Path
) -> None:
    paths = []
    for number in range(4):
        image = make_image(APP_LAYER, b"own layer %d" % number)
        archive = write_archive(tmp_path / f"{number}.tar", docker_legacy, image)
        paths.append(archive.path)
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        jobs = [push(pusher, path, proxy.url, f"app{n}") for n, path in enumerate(paths)]
        await asyncio.gather(*jobs)
        # The shared layer does not compress, so its size tells how often it went.
        assert len(APP_LAYER) < proxy.bytes_sent() < 1.5 * len(APP_LAYER)
        for number in range(4):
            expected = [APP_LAYER, b"own layer %d" % number]
            assert blob_contents(registry, f"app{number}") == expected


async def test_an_image_that_is_there_costs_no_upload(pusher: ImagePusher, tmp_path: Path) -> None:
    path = ARCHIVES["docker-legacy"](tmp_path).path
    async with SpecRegistry() as registry:
        first = await push(pusher, path, registry.url, "app")
        registry.requests.clear()
        again = await push(pusher, path, registry.url, "app")
        assert first == again
        assert {method for method, _ in registry.requests} == {"HEAD", "GET"}


# Many blobs


@pytest.mark.parametrize("compression", CompressionPolicy)
async def test_layers_of_many_blocks_side_by_side(
    compression: CompressionPolicy, pusher: ImagePusher, tmp_path: Path
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [5_000_000, 3_000_000, 4_500_000])
    async with SpecRegistry() as registry:
        await push(pusher, big.path, registry.url, "app", compression=compression)
        contents = blob_contents(registry, "app")
    assert [sha256_digest(content) for content in contents] == big.diff_ids


async def test_more_pushes_than_upload_slots(tmp_path: Path) -> None:
    pusher = ImagePusher(limits=LocalLimits(1), retry=FEW_AND_FAST)
    bigs = [
        write_big_archive(tmp_path / f"{n}.tar", [2_500_000, 1_500_000], seed=10 * n)
        for n in range(4)
    ]
    async with SpecRegistry() as registry:
        jobs = [push(pusher, big.path, registry.url, f"app{n}") for n, big in enumerate(bigs)]
        await asyncio.gather(*jobs)
        for number, big in enumerate(bigs):
            contents = blob_contents(registry, f"app{number}")
            assert [sha256_digest(content) for content in contents] == big.diff_ids
    pusher.close()


# Progress


def histories(seen: Sequence[BlobProgress]) -> dict[str, list[BlobProgress]]:
    by_blob: dict[str, list[BlobProgress]] = defaultdict(list)
    for progress in seen:
        by_blob[progress.digest].append(progress)
    return by_blob


async def test_progress_names_every_blob_first_and_ends_full(
    pusher: ImagePusher, tmp_path: Path
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [5_000_000, 100_000])
    seen: list[BlobProgress] = []
    async with SpecRegistry() as registry:
        await push(pusher, big.path, registry.url, "app", on_progress=seen.append)
    expected = {*big.diff_ids, sha256_digest(big.config)}
    assert {progress.digest for progress in seen[:3]} == expected
    assert {progress.state for progress in seen[:3]} == {BlobState.WAITING}
    for history in histories(seen).values():
        done = [progress.done for progress in history]
        assert done == sorted(done)
        assert history[-1].state is BlobState.UPLOADED
        assert history[-1].done == history[-1].size


async def test_progress_tells_what_needed_no_upload(pusher: ImagePusher, tmp_path: Path) -> None:
    path = ARCHIVES["docker-legacy"](tmp_path).path
    async with SpecRegistry() as registry:
        await push(pusher, path, registry.url, "one")
        for repository, state in (("one", BlobState.EXISTS), ("two", BlobState.MOUNTED)):
            seen: list[BlobProgress] = []
            await push(pusher, path, registry.url, repository, on_progress=seen.append)
            last = [history[-1] for history in histories(seen).values()]
            assert {progress.state for progress in last} == {state}
            assert all(progress.done == progress.size for progress in last)


async def test_progress_tells_what_another_push_was_sending(tmp_path: Path) -> None:
    path = ARCHIVES["docker-legacy"](tmp_path).path
    ledger = MemoryLedger()
    other, pusher = ImagePusher(ledger=ledger), ImagePusher(ledger=ledger)
    seen: list[BlobProgress] = []
    async with SpecRegistry() as registry:

        @asynccontextmanager
        async def claim(*_: object) -> AsyncIterator[bool]:
            """Another push holds it, and sends the blob meanwhile."""
            monkeypatch.undo()
            await push(other, path, registry.url, "app")
            yield False

        with pytest.MonkeyPatch.context() as monkeypatch:
            monkeypatch.setattr(ledger, "claim", claim)
            await push(pusher, path, registry.url, "app", on_progress=seen.append)
    states = [history[-1].state for history in histories(seen).values()]
    assert BlobState.WAITED in states
    for one in (other, pusher):
        one.close()


async def test_progress_counts_the_bytes_that_went(pusher: ImagePusher, tmp_path: Path) -> None:
    big = write_big_archive(tmp_path / "big.tar", [5_000_000, 100_000])
    progress = PushProgress()
    async with SpecRegistry() as registry:
        await push(pusher, big.path, registry.url, "app", "copy", on_progress=progress.update)
        blobs = registry.repository("app").blobs.values()
        assert progress.totals.bytes_sent == sum(map(len, blobs))
        again = PushProgress()
        await push(pusher, big.path, registry.url, "app", on_progress=again.update)
        assert again.totals.bytes_sent == 0
        assert again.totals.bytes_saved == again.totals.bytes_total == progress.totals.bytes_total


# Failures


@pytest.mark.parametrize("compression", CompressionPolicy)
async def test_a_lie_tags_nothing_and_leaves_no_session(
    compression: CompressionPolicy, pusher: ImagePusher, tmp_path: Path
) -> None:
    async with SpecRegistry() as registry:
        with pytest.raises(ArchiveDigestError):
            await push(pusher, LYING_DIGEST(tmp_path), registry.url, "app", compression=compression)
        stored = registry.repository("app")
        assert stored.tags == {}
        assert stored.manifests == {}
        assert no_bytes_left(registry, "app")


async def test_a_lie_in_a_layer_of_many_blocks(pusher: ImagePusher, tmp_path: Path) -> None:
    big = write_big_archive(tmp_path / "big.tar", [5_000_000])
    content = bytearray(big.path.read_bytes())
    content[3_000_000] ^= 1
    big.path.write_bytes(content)
    async with SpecRegistry() as registry:
        with pytest.raises(ArchiveDigestError, match="blobs/sha256/"):
            await push(pusher, big.path, registry.url, "app")
        stored = registry.repository("app")
        assert stored.tags == {}
        assert no_bytes_left(registry, "app")


async def test_a_permanent_refusal_is_not_tried_again(pusher: ImagePusher, tmp_path: Path) -> None:
    path = ARCHIVES["docker-legacy"](tmp_path).path
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        proxy.answer(is_manifest_put, status=403, times=10)
        with pytest.raises(DeniedError):
            await push(pusher, path, proxy.url, "app")
        assert proxy.count(is_manifest_put) == 1


@pytest.mark.parametrize("after", [1, 700_000, 2_000_000])
async def test_a_cut_in_a_layer_of_many_blocks_is_mended(
    after: int, pusher: ImagePusher, tmp_path: Path
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [6_000_000])
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        proxy.cut(is_patch, after=after)
        await push(pusher, big.path, proxy.url, "app")
        contents = blob_contents(registry, "app")
    assert [sha256_digest(content) for content in contents] == big.diff_ids


async def test_a_registry_that_stalls_is_given_up(pusher: ImagePusher, tmp_path: Path) -> None:
    path = ARCHIVES["docker-legacy"](tmp_path).path
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        for _ in range(FEW_AND_FAST.attempts * 3):
            proxy.hold(is_upload)
        with pytest.raises(RegistryUnavailableError, match="in time"):
            await push(pusher, path, proxy.url, "app", patience=0.2)


async def test_a_cancelled_push_stops_and_leaves_no_session(
    pusher: ImagePusher, tmp_path: Path
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [6_000_000])
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        hold = proxy.hold(is_patch, after=500_000)
        pushing = asyncio.create_task(push(pusher, big.path, proxy.url, "app"))
        await hold.reached.wait()
        pushing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await pushing
        assert no_bytes_left(registry, "app")
        assert registry.repositories["app"].tags == {}
        # What is left of it does not block the next push.
        hold.release()
        await push(pusher, big.path, proxy.url, "app")
        contents = blob_contents(registry, "app")
    assert [sha256_digest(content) for content in contents] == big.diff_ids


async def test_one_target_that_fails_is_the_error(pusher: ImagePusher, tmp_path: Path) -> None:
    path = ARCHIVES["docker-legacy"](tmp_path).path
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        proxy.answer(lambda r: is_upload(r) and "/bad/" in r.path, status=403, times=10)
        proxy.answer(lambda r: r.method == "POST" and "/bad/" in r.path, status=403, times=10)
        with pytest.raises(RegistryError) as caught:
            await push(pusher, path, proxy.url, "good", "bad")
        assert isinstance(caught.value, DeniedError)
        assert "1" in registry.repositories["good"].tags
