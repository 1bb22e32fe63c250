"""Layers of the image that the target's tag names need neither be compressed nor sent.

Each push is made by a process that knows nothing yet, so to say: by an engine of its own.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from registry_api_v2_client import Verdict, verify_image
from registry_api_v2_client.exceptions import ArchiveDigestError
from registry_api_v2_client.push import tagged_images
from registry_api_v2_client.push.compression import CompressionPolicy
from registry_api_v2_client.push.engine import ImagePusher
from registry_api_v2_client.push.image_push import PushedImage
from registry_api_v2_client.push.progress import BlobState, PushProgress
from tests.support.big_images import BigArchive, write_big_archive
from tests.support.images import (
    BASE_LAYER,
    Archive,
    docker_legacy,
    gzip_bytes,
    layer_tar,
    make_image,
    oci_blobs,
    sha256_digest,
    write_archive,
)
from tests.support.proxy import FaultProxy, Request
from tests.support.pushes import FEW_AND_FAST, push
from tests.support.skopeo import decompress, raw_manifest, skopeo_copy_to_dir, skopeo_push_archive
from tests.support.spec_registry import Manifest, Repository, SpecRegistry

pytestmark = pytest.mark.integration

TAG_READ = ("GET", "manifests/1")


async def push_alone(path: Path, *places: str, reuse: bool = True, **options: Any) -> PushedImage:
    """Push by an engine that knows nothing yet."""
    pusher = ImagePusher(retry=FEW_AND_FAST)
    try:
        return await push(pusher, path, *places, reuse_tagged=reuse, **options)
    finally:
        pusher.close()


def asked(proxy: FaultProxy, start: int = 0) -> Counter[tuple[str, str]]:
    """Requests from ``start`` on: method, and what of the repository."""

    def short(request: Request) -> tuple[str, str]:
        kind, _, name = request.path.rpartition("/")
        kind = kind.rpartition("/")[2]
        return request.method, f"{kind}/{name}" if kind == "manifests" and name == "1" else kind

    return Counter(map(short, proxy.requests[start:]))


def layers_of(registry: SpecRegistry, repository: str) -> list[bytes]:
    """What is in the layers of tag 1."""
    stored = registry.repositories[repository].blobs
    layers = registry.manifest(repository, "1")["layers"]
    return [decompress(stored[layer["digest"]]) for layer in layers]


async def test_an_image_that_stands_there_is_not_sent_again(
    proxy: FaultProxy, repository: str, big: BigArchive
) -> None:
    first = await push_alone(big.path, f"{proxy.url}/{repository}")
    start, sent = len(proxy.requests), proxy.bytes_sent()
    progress = PushProgress()
    again = await push_alone(big.path, f"{proxy.url}/{repository}", on_progress=progress.update)
    assert again == first
    assert proxy.bytes_sent() == sent
    assert asked(proxy, start) == {
        TAG_READ: 2,  # once before the push, and once to read it back
        ("HEAD", "blobs"): 2,
        ("HEAD", "manifests"): 1,
    }
    assert {blob.state for blob in progress.blobs} == {BlobState.EXISTS}


async def test_a_layer_that_stands_there_is_not_even_read(
    proxy: FaultProxy, repository: str, big: BigArchive
) -> None:
    """The tag names the image that the config describes, so the damaged one has no part in it."""
    place = f"{proxy.url}/{repository}"
    damaged = big.path.with_name("damaged.tar")
    content = bytearray(big.path.read_bytes())
    content[1_000_000] ^= 1
    damaged.write_bytes(content)
    with pytest.raises(ArchiveDigestError, match="has digest"):
        await push_alone(damaged, place)
    first = await push_alone(big.path, place)
    assert await push_alone(damaged, place) == first


@pytest.mark.parametrize("transport", ["docker-archive", "oci-archive"])
async def test_an_image_that_another_tool_pushed_stays_as_it_is(
    transport: str, tmp_path: Path, proxy: FaultProxy, registry_host: str, repository: str
) -> None:
    layout = docker_legacy if transport == "docker-archive" else oci_blobs
    path = write_archive(tmp_path / "image.tar", layout, make_image()).path
    reference = f"{registry_host}/{repository}:1"
    skopeo_push_archive(path, reference, transport=transport)
    before = raw_manifest(reference)
    pushed = await push_alone(path, f"{proxy.url}/{repository}")
    assert not any("/blobs/uploads/" in request.path for request in proxy.requests)
    assert pushed.digest == sha256_digest(raw_manifest(reference))
    if transport == "docker-archive":
        assert raw_manifest(reference) == before
        assert proxy.bytes_sent() == 0


async def test_layers_in_common_are_not_sent(
    tmp_path: Path, proxy: FaultProxy, registry_host: str, repository: str
) -> None:
    one = write_big_archive(tmp_path / "one.tar", [2_500_000, 1_500_000])
    two = write_big_archive(tmp_path / "two.tar", [2_500_000, 1_200_000])
    await push_alone(one.path, f"{proxy.url}/{repository}")
    start = len(proxy.requests)
    pushed = await push_alone(two.path, f"{proxy.url}/{repository}")
    requests = asked(proxy, start)
    assert requests["GET", "blobs"] == 1, "the config of what stands there"
    assert requests["PATCH", "uploads"] == 1
    image = skopeo_copy_to_dir(f"{registry_host}/{repository}@{pushed.digest}", tmp_path / "two")
    assert list(map(sha256_digest, image.contents)) == two.diff_ids


@pytest.mark.parametrize("tags", [("2", "1"), ("2", "3", "1")])
async def test_the_first_two_tags_are_looked_at(
    tags: tuple[str, ...], proxy: FaultProxy, registry_host: str, repository: str, big: BigArchive
) -> None:
    first = await push_alone(big.path, f"{proxy.url}/{repository}")
    start = len(proxy.requests)
    assert await push_alone(big.path, f"{proxy.url}/{repository}", tags=tags) == first
    assert bool(asked(proxy, start)["POST", "uploads"]) is ("3" in tags)
    assert sha256_digest(raw_manifest(f"{registry_host}/{repository}:2")) == first.digest


@pytest.mark.parametrize(
    ("stands", "pushed", "uploads"),
    [("gzip", "zstd", 2), ("zstd", "gzip", 2), ("keep", "gzip", 2), ("gzip", "keep", 2)],
)
async def test_only_layers_of_the_wanted_compression_are_taken(
    stands: str, pushed: str, uploads: int, proxy: FaultProxy, repository: str, big: BigArchive
) -> None:
    place = f"{proxy.url}/{repository}"
    await push_alone(big.path, place, compression=CompressionPolicy(stands))
    start = len(proxy.requests)
    await push_alone(big.path, place, compression=CompressionPolicy(pushed))
    assert asked(proxy, start)["POST", "uploads"] == uploads


async def test_what_does_not_help_costs_one_or_two_requests(
    tmp_path: Path, big: BigArchive
) -> None:
    other = write_archive(tmp_path / "other.tar", docker_legacy, make_image())
    for before, more in ((None, 1), (other, 2)):
        requests = []
        for reuse in (False, True):
            async with SpecRegistry() as registry:
                if before:
                    await push_alone(before.path, f"{registry.url}/app")
                registry.requests.clear()
                await push_alone(big.path, f"{registry.url}/app", reuse=reuse)
                requests.append(registry.requests.total())
        assert requests[1] - requests[0] == more


async def test_docker_hub_is_not_asked_what_stands_there(
    big: BigArchive, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with SpecRegistry() as registry:
        monkeypatch.setattr(tagged_images, "DOCKER_HUB", registry.host)
        await push_alone(big.path, f"{registry.url}/app", reuse=False)
        registry.requests.clear()
        await push_alone(big.path, f"{registry.url}/app")
        assert registry.requests["GET", "/v2/app/manifests/1"] == 1, "reading back"
        assert registry.requests["POST", "/v2/app/blobs/uploads/"] == 2


async def test_nothing_is_asked_where_all_is_known(big: BigArchive) -> None:
    async with SpecRegistry() as registry:
        pusher = ImagePusher(retry=FEW_AND_FAST)
        await push(pusher, big.path, f"{registry.url}/app", reuse_tagged=True)
        registry.requests.clear()
        await push(pusher, big.path, f"{registry.url}/app", reuse_tagged=True)
        pusher.close()
        assert registry.requests["GET", "/v2/app/manifests/1"] == 1, "only to read the tag back"


async def test_a_registry_that_was_emptied_gets_all(big: BigArchive) -> None:
    async with SpecRegistry() as registry:
        await push_alone(big.path, f"{registry.url}/app")
        before = registry.repositories.pop("app")
        await push_alone(big.path, f"{registry.url}/app")
        assert registry.repositories["app"] == before


async def test_a_blob_that_was_lost_is_sent_again(big: BigArchive) -> None:
    async with SpecRegistry() as registry:
        pushed = await push_alone(big.path, f"{registry.url}/app")
        app = registry.repositories["app"]
        lost, kept = (layer["digest"] for layer in registry.manifest("app", "1")["layers"])
        del app.blobs[lost]
        registry.requests.clear()
        assert await push_alone(big.path, f"{registry.url}/app") == pushed
        assert {lost, kept} <= app.blobs.keys()
        assert registry.requests["POST", "/v2/app/blobs/uploads/"] == 1


async def test_a_lost_blob_that_a_refused_tag_tells_of_is_sent_again(big: BigArchive) -> None:
    """The manifest is there, so nothing is sent until the tag is refused for missing blobs."""
    keep = CompressionPolicy.KEEP
    async with SpecRegistry() as registry:
        pushed = await push_alone(big.path, f"{registry.url}/app", compression=keep)
        app = registry.repositories["app"]
        lost, _ = big.diff_ids
        del app.blobs[lost]
        again = await push_alone(big.path, f"{registry.url}/app", compression=keep, tags=("2", "3"))
        assert again == pushed
        assert app.tags == dict.fromkeys("123", pushed.digest)
        assert lost in app.blobs


@pytest.mark.parametrize(
    ("status", "body"),
    [(403, b"{}"), (405, b""), (500, b""), (200, b"[]"), (200, b"no json"), (200, b'{"config":1}')],
)
async def test_a_tag_that_cannot_be_made_out_is_no_failure(
    status: int, body: bytes, big: BigArchive
) -> None:
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        proxy.answer(
            lambda request: (request.method, request.path) == ("GET", "/v2/app/manifests/1"),
            status=status,
            headers={"Content-Type": "application/vnd.oci.image.manifest.v1+json"},
            body=body,
            times=FEW_AND_FAST.attempts if status == 500 else 1,
        )
        pushed = await push_alone(big.path, f"{proxy.url}/app")
        assert registry.repositories["app"].tags == {"1": pushed.digest}


# Who may write to the repository


def plant(repository: Repository, evil: bytes) -> None:
    """Make tag 1 name the image's config with another first layer."""
    (digest,) = repository.tags.values()
    manifest = json.loads(repository.manifests[digest].content)
    blob = gzip_bytes(evil)
    manifest["layers"][0] |= {"digest": sha256_digest(blob), "size": len(blob)}
    content = json.dumps(manifest).encode()
    repository.blobs[sha256_digest(blob)] = blob
    media_type = repository.manifests[digest].media_type
    repository.manifests[sha256_digest(content)] = Manifest(content, media_type)
    repository.tags["1"] = sha256_digest(content)


EVIL_LAYER = layer_tar({"etc/passwd": b"evil"})


@pytest.fixture
def image(tmp_path: Path) -> Archive:
    return write_archive(tmp_path / "image.tar", docker_legacy, make_image())


async def test_verify_deep_tells_of_a_layer_that_somebody_planted(image: Archive) -> None:
    async with SpecRegistry() as registry:
        good = await push_alone(image.path, f"{registry.url}/app")
        plant(registry.repositories["app"], EVIL_LAYER)
        taken = await push_alone(image.path, f"{registry.url}/app")
        assert taken != good
        found = await verify_image(image.path, registry.url, "app", "1", deep=True)
        assert [part.verdict for part in found.parts] == [
            Verdict.EQUAL, Verdict.DIFFERENT, Verdict.EQUAL
        ]  # fmt: skip
        assert await push_alone(image.path, f"{registry.url}/app", reuse=False) == good
        found = await verify_image(image.path, registry.url, "app", "1", deep=True)
        assert found.equal


async def test_what_is_known_goes_before_what_the_tag_says(image: Archive) -> None:
    async with SpecRegistry() as registry:
        pusher = ImagePusher(retry=FEW_AND_FAST)
        good = await push(pusher, image.path, f"{registry.url}/app", reuse_tagged=True)
        plant(registry.repositories["app"], EVIL_LAYER)
        assert await push(pusher, image.path, f"{registry.url}/app", reuse_tagged=True) == good
        pusher.close()
        assert registry.repositories["app"].tags == {"1": good.digest}


async def test_a_planted_layer_gets_to_no_other_repository(image: Archive) -> None:
    async with SpecRegistry() as registry:
        good = await push_alone(image.path, f"{registry.url}/app")
        app, prod = (registry.repository(name) for name in ("app", "prod"))
        plant(app, EVIL_LAYER)
        prod.blobs |= app.blobs
        await push_alone(image.path, f"{registry.url}/app", f"{registry.url}/prod")
        assert app.tags == prod.tags == {"1": good.digest}


async def test_the_bytes_of_a_standing_manifest_get_to_no_other_repository(image: Archive) -> None:
    async with SpecRegistry() as registry:
        places = [f"{registry.url}/{name}" for name in ("app", "prod")]
        good = await push_alone(image.path, *places)
        app, prod = (registry.repositories[name] for name in ("app", "prod"))
        manifest = app.manifests[good.digest]
        content = json.dumps(json.loads(manifest.content), indent=4).encode()
        app.manifests[sha256_digest(content)] = Manifest(content, manifest.media_type)
        app.tags["1"] = sha256_digest(content)
        assert (await push_alone(image.path, places[0])).digest == sha256_digest(content)
        assert await push_alone(image.path, *places) == good
        assert app.tags == prod.tags == {"1": good.digest}


async def test_what_stands_is_not_noted_as_what_a_layer_becomes(image: Archive) -> None:
    async with SpecRegistry() as registry:
        good = await push_alone(image.path, f"{registry.url}/app")
        plant(registry.repositories["app"], EVIL_LAYER)
        pusher = ImagePusher(retry=FEW_AND_FAST)
        assert await push(pusher, image.path, f"{registry.url}/app", reuse_tagged=True) != good
        assert await push(pusher, image.path, f"{registry.url}/other", reuse_tagged=True) == good
        pusher.close()


async def test_a_registry_that_changes_a_config_is_not_believed(
    tmp_path: Path, image: Archive
) -> None:
    larger = layer_tar({"b": bytes(200_000)})
    other = write_archive(tmp_path / "other.tar", docker_legacy, make_image(BASE_LAYER, larger))
    config, theirs = image.image.config, image.image.diff_ids[1]
    changed = config.replace(theirs.encode(), other.image.diff_ids[1].encode())
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        await push_alone(image.path, f"{proxy.url}/app")
        proxy.answer(
            lambda request: request.path.endswith(sha256_digest(config)),
            status=200,
            body=changed,
            times=FEW_AND_FAST.attempts,
        )
        await push_alone(other.path, f"{proxy.url}/app")
        assert layers_of(registry, "app") == list(other.image.layers)


# Several repositories


async def test_each_of_several_targets_has_to_name_and_have_the_layer(big: BigArchive) -> None:
    async with SpecRegistry() as one, SpecRegistry() as two:
        places = f"{one.url}/app", f"{two.url}/copy"
        pushed = await push_alone(big.path, *places)
        one.requests.clear()
        assert await push_alone(big.path, *places) == pushed
        assert not one.requests["POST", "/v2/app/blobs/uploads/"]
        two.repositories.clear()
        assert await push_alone(big.path, *places) == pushed
        assert set(two.repositories["copy"].blobs) == set(one.repositories["app"].blobs)


async def test_where_blobs_turn_out_to_be_missing_our_own_are_sent(image: Archive) -> None:
    """The registry says by HEAD that it has a blob, and refuses the manifest that names it."""
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        good = await push_alone(image.path, f"{registry.url}/app")
        app = registry.repositories["app"]
        plant(app, BASE_LAYER)  # compressed otherwise than we do
        lost = registry.manifest("app", "1")["layers"][0]["digest"]
        del app.blobs[lost]
        proxy.answer(lambda asked: asked.method == "HEAD" and lost in asked.path, status=200)
        tagged = app.tags["1"]
        proxy.answer(lambda asked: asked.method == "HEAD" and tagged in asked.path, status=404)
        assert await push_alone(image.path, f"{proxy.url}/app") == good
        assert app.tags == {"1": good.digest}
        assert layers_of(registry, "app") == list(image.image.layers)
