"""Pushes to a real registry, read back with skopeo."""

from pathlib import Path
from statistics import mode

import pytest

from registry_api_v2_client import (
    ArchiveDigestError,
    NameUnknownError,
    RegistryUnavailableError,
    ServerError,
    TarReadError,
    ValidationError,
    list_tags,
    push_docker_tar,
    push_docker_tar_with_all_original_tags,
    push_docker_tar_with_original_tags,
)
from tests.support.big_images import write_big_archive
from tests.support.broken_images import BROKEN, LYING_DIGEST, UNREADABLE
from tests.support.images import (
    APP_LAYER,
    ARCHIVES,
    OCI_LAYOUT,
    SEVERAL_IMAGES,
    Archive,
    docker_legacy,
    gzip_bytes,
    make_image,
    sha256_digest,
    write_archive,
)
from tests.support.processes import free_port
from tests.support.proxy import (
    FaultProxy,
    Predicate,
    Request,
    is_blob_head,
    is_blob_put,
    is_manifest_put,
    is_patch,
)
from tests.support.skopeo import GZIP_MAGIC, PulledImage, skopeo_copy_to_dir, skopeo_inspect

pytestmark = pytest.mark.integration

ALL = {**ARCHIVES, "oci-layout": OCI_LAYOUT}


def assert_same_image(pulled: PulledImage, archive: Archive) -> None:
    assert pulled.config == archive.image.config
    assert pulled.contents == list(archive.image.layers)


# What arrives


@pytest.mark.parametrize("compression", ["gzip", "keep"])
@pytest.mark.parametrize("kind", ALL)
async def test_every_kind_of_archive_arrives_whole(
    kind: str,
    compression: str,
    tmp_path: Path,
    registry_url: str,
    registry_host: str,
    repository: str,
) -> None:
    archive = ALL[kind](tmp_path)
    digest = await push_docker_tar(
        archive.path, registry_url, repository, "1", compression=compression
    )
    reference = f"{registry_host}/{repository}:1"
    pulled = skopeo_copy_to_dir(reference, tmp_path / "back")
    assert_same_image(pulled, archive)
    assert digest == pulled.digest
    assert skopeo_inspect(reference)["Digest"] == digest


@pytest.mark.parametrize(
    "kind", ["docker-oci", "containerd", "containerd-zstd-layers", "oci-layout"]
)
async def test_keep_preserves_the_digest_of_a_carried_manifest(
    kind: str, tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = ALL[kind](tmp_path)
    digest = await push_docker_tar(archive.path, registry_url, repository, "1", compression="keep")
    assert archive.manifest is not None
    assert digest == sha256_digest(archive.manifest)


@pytest.mark.parametrize("kind", ["containerd", "containerd-zstd-layers", "oci-layout"])
async def test_compressed_layers_and_their_manifest_go_verbatim(
    kind: str, tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = ALL[kind](tmp_path)
    digest = await push_docker_tar(archive.path, registry_url, repository, "1")
    assert archive.manifest is not None
    assert digest == sha256_digest(archive.manifest)


async def test_uncompressed_layers_become_gzip(
    tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    archive = ARCHIVES["docker-legacy"](tmp_path)
    await push_docker_tar(archive.path, registry_url, repository, "1")
    pulled = skopeo_copy_to_dir(f"{registry_host}/{repository}:1", tmp_path / "back")
    assert all(layer.startswith(GZIP_MAGIC) for layer in pulled.layers)
    assert len(pulled.layers[0]) < len(archive.image.layers[0]) / 3


async def test_compressed_layers_are_not_compressed_again(
    tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    archive = ARCHIVES["bazel"](tmp_path)
    await push_docker_tar(archive.path, registry_url, repository, "1")
    pulled = skopeo_copy_to_dir(f"{registry_host}/{repository}:1", tmp_path / "back")
    assert pulled.layers == [gzip_bytes(layer) for layer in archive.image.layers]


async def test_the_same_image_has_the_same_digest_every_time(
    tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    """Two of three pushes at least; ``test_compression_determinism.py`` says why not all."""
    archive = write_big_archive(tmp_path / "big.tar", [3_000_000, 1_000_000])

    async def push(number: int) -> PulledImage:
        name = f"{repository}-{number}"
        digest = await push_docker_tar(archive.path, registry_url, name, "1")
        pulled = skopeo_copy_to_dir(f"{registry_host}/{name}:1", tmp_path / str(number))
        assert pulled.digest == digest
        return pulled

    pushes = [await push(number) for number in range(3)]
    for pulled in pushes:
        assert [sha256_digest(content) for content in pulled.contents] == archive.diff_ids
    digests = [pulled.digest for pulled in pushes]
    assert digests.count(mode(digests)) >= 2


async def test_a_layer_of_many_blocks_arrives_whole(
    tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    archive = write_big_archive(tmp_path / "big.tar", [30_000_001, 1_000_000])
    await push_docker_tar(archive.path, registry_url, repository, "1")
    pulled = skopeo_copy_to_dir(f"{registry_host}/{repository}:1", tmp_path / "back")
    assert pulled.config == archive.config
    assert [sha256_digest(content) for content in pulled.contents] == archive.diff_ids


# Where it goes


async def test_repository_and_tag_come_from_the_tar(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    image = make_image(tags=(f"elsewhere.example.com:5000/{repository}:3.1",))
    archive = write_archive(tmp_path / "image.tar", docker_legacy, image)
    await push_docker_tar(archive.path, registry_url)
    assert await list_tags(registry_url, repository) == ["3.1"]


async def test_a_repository_without_a_tag_is_latest(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = ARCHIVES["no-tags"](tmp_path)
    await push_docker_tar(archive.path, registry_url, repository)
    assert await list_tags(registry_url, repository) == ["latest"]


async def test_an_untagged_tar_needs_a_repository(tmp_path: Path, registry_url: str) -> None:
    archive = ARCHIVES["no-tags"](tmp_path)
    with pytest.raises(ValidationError, match=str(archive.path)):
        await push_docker_tar(archive.path, registry_url)
    with pytest.raises(ValidationError, match=str(archive.path)):
        await push_docker_tar_with_original_tags(archive.path, registry_url)


async def test_the_first_original_tag(tmp_path: Path, registry_url: str, repository: str) -> None:
    image = make_image(tags=(f"{repository}:1", f"{repository}:2"))
    archive = write_archive(tmp_path / "image.tar", docker_legacy, image)
    digest = await push_docker_tar_with_original_tags(archive.path, registry_url)
    assert digest.startswith("sha256:")
    assert await list_tags(registry_url, repository) == ["1"]


async def test_all_original_tags(tmp_path: Path, registry_url: str, repository: str) -> None:
    image = make_image(tags=(f"{repository}:1", f"{repository}:2", f"{repository}-b:1"))
    archive = write_archive(tmp_path / "image.tar", docker_legacy, image)
    digests = await push_docker_tar_with_all_original_tags(archive.path, registry_url)
    assert len(digests) == 3
    assert len(set(digests)) == 1
    assert sorted(await list_tags(registry_url, repository)) == ["1", "2"]
    assert await list_tags(registry_url, f"{repository}-b") == ["1"]


async def test_all_tags_of_several_images(
    tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    images = (make_image(tags=(f"{repository}:1",)), make_image(APP_LAYER, tags=("t/two:1",)))
    archive = write_archive(tmp_path / "image.tar", docker_legacy, *images)
    digests = await push_docker_tar_with_all_original_tags(archive.path, registry_url)
    assert len(set(digests)) == 2
    first = skopeo_copy_to_dir(f"{registry_host}/{repository}:1", tmp_path / "first")
    second = skopeo_copy_to_dir(f"{registry_host}/t/two:1", tmp_path / "second")
    assert [first.config, second.config] == [image.config for image in images]


async def test_a_tag_moves_to_the_image_pushed_last(
    tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    for number, layer in enumerate([b"first", b"second"]):
        path = tmp_path / f"{number}.tar"
        archive = write_archive(path, docker_legacy, make_image(layer))
        await push_docker_tar(archive.path, registry_url, repository, "1")
    pulled = skopeo_copy_to_dir(f"{registry_host}/{repository}:1", tmp_path / "back")
    assert pulled.contents == [b"second"]


@pytest.mark.parametrize(("name", "tag"), [("Foo/Bar", "1"), ("app", "not a tag"), ("", "1")])
async def test_a_bad_reference_is_refused_before_anything_is_sent(
    name: str, tag: str, tmp_path: Path
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    with pytest.raises(ValidationError):
        await push_docker_tar(archive.path, f"http://127.0.0.1:{free_port()}", name, tag)


async def test_several_images_must_be_chosen_from(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = SEVERAL_IMAGES(tmp_path)
    with pytest.raises(ValidationError, match="holds 2 images"):
        await push_docker_tar(archive.path, registry_url, repository, "1")


# What is sent


async def test_pushing_again_sends_no_layer(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = ARCHIVES["containerd"](tmp_path)
    async with FaultProxy(registry_url) as proxy:
        first = await push_docker_tar(archive.path, proxy.url, repository, "1")
        sent = proxy.bytes_sent(f"/v2/{repository}/blobs/")
        again = await push_docker_tar(archive.path, proxy.url, repository, "2")
        assert proxy.bytes_sent(f"/v2/{repository}/blobs/") == sent
    assert first == again
    assert sorted(await list_tags(registry_url, repository)) == ["1", "2"]


async def test_every_blob_is_asked_for_before_it_is_sent(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = ARCHIVES["containerd"](tmp_path)
    async with FaultProxy(registry_url) as proxy:
        await push_docker_tar(archive.path, proxy.url, repository, "1")
        asked = [r.path.rpartition("/")[2] for r in proxy.requests if is_blob_head(r)]
    stored = {sha256_digest(gzip_bytes(layer)) for layer in archive.image.layers}
    assert stored | {sha256_digest(archive.image.config)} <= set(asked)


async def test_a_layer_that_occurs_twice_is_sent_once(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = write_archive(tmp_path / "i.tar", docker_legacy, make_image(APP_LAYER, APP_LAYER))
    async with FaultProxy(registry_url) as proxy:
        await push_docker_tar(archive.path, proxy.url, repository, "1")
        # The layer does not compress, so its size tells how often it went.
        assert proxy.bytes_sent() < 1.5 * len(APP_LAYER)


async def test_the_manifest_goes_by_digest_and_then_by_tag(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = ARCHIVES["docker-legacy"](tmp_path)
    async with FaultProxy(registry_url) as proxy:
        digest = await push_docker_tar(archive.path, proxy.url, repository, "1")
        puts = [r.path.rpartition("/")[2] for r in proxy.requests if is_manifest_put(r)]
        assert puts == [digest, "1"]
        first_put = next(n for n, r in enumerate(proxy.requests) if is_manifest_put(r))
        assert not any(is_patch(r) or is_blob_put(r) for r in proxy.requests[first_put:])


# What goes wrong


@pytest.mark.parametrize("kind", BROKEN)
async def test_a_broken_archive_sends_nothing(
    kind: str, tmp_path: Path, registry_url: str, repository: str
) -> None:
    with pytest.raises(TarReadError):
        await push_docker_tar(BROKEN[kind](tmp_path), registry_url, repository, "1")
    with pytest.raises(NameUnknownError):
        await list_tags(registry_url, repository)


@pytest.mark.parametrize("kind", UNREADABLE)
async def test_what_is_no_file_is_an_error_of_the_caller(
    kind: str, tmp_path: Path, registry_url: str, repository: str
) -> None:
    with pytest.raises(ValidationError):
        await push_docker_tar(UNREADABLE[kind](tmp_path), registry_url, repository, "1")


@pytest.mark.parametrize("compression", ["gzip", "keep"])
async def test_a_digest_that_lies_names_the_member_and_tags_nothing(
    compression: str, tmp_path: Path, registry_url: str, repository: str
) -> None:
    path = LYING_DIGEST(tmp_path)
    with pytest.raises(ArchiveDigestError, match=sha256_digest(APP_LAYER).removeprefix("sha256:")):
        await push_docker_tar(path, registry_url, repository, "1", compression=compression)
    assert await tags_or_none(registry_url, repository) == []


async def tags_or_none(registry_url: str, repository: str) -> list[str]:
    try:
        return await list_tags(registry_url, repository)
    except NameUnknownError:
        return []


async def test_an_unknown_compression_is_named(
    tmp_path: Path, registry_url: str, repository: str
) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    with pytest.raises(ValidationError, match="brotli"):
        await push_docker_tar(archive.path, registry_url, repository, "1", compression="brotli")


async def test_a_registry_that_is_down_is_named(tmp_path: Path) -> None:
    archive = ARCHIVES["guide"](tmp_path)
    host = f"127.0.0.1:{free_port()}"
    with pytest.raises(RegistryUnavailableError, match=host):
        await push_docker_tar(archive.path, f"http://{host}", "app", "1")


def is_upload(request: Request) -> bool:
    """Any request that carries blob bytes, whichever way the engine sends them."""
    return is_patch(request) or is_blob_put(request)


@pytest.mark.parametrize("status", [429, 500, 503])
@pytest.mark.parametrize("matches", [is_blob_head, is_upload, is_manifest_put])
async def test_a_passing_failure_is_retried(
    matches: Predicate,
    status: int,
    tmp_path: Path,
    registry_url: str,
    registry_host: str,
    repository: str,
) -> None:
    archive = ARCHIVES["docker-legacy"](tmp_path)
    async with FaultProxy(registry_url) as proxy:
        proxy.answer(matches, status=status, headers={"Retry-After": "0"})
        await push_docker_tar(archive.path, proxy.url, repository, "1")
    pulled = skopeo_copy_to_dir(f"{registry_host}/{repository}:1", tmp_path / "back")
    assert_same_image(pulled, archive)


@pytest.mark.parametrize("after", [0, 1, 40_000])
async def test_a_connection_cut_in_mid_upload_is_retried(
    after: int, tmp_path: Path, registry_url: str, registry_host: str, repository: str
) -> None:
    archive = ARCHIVES["docker-legacy"](tmp_path)
    async with FaultProxy(registry_url) as proxy:
        proxy.cut(is_upload, after=after)
        await push_docker_tar(archive.path, proxy.url, repository, "1")
    pulled = skopeo_copy_to_dir(f"{registry_host}/{repository}:1", tmp_path / "back")
    assert_same_image(pulled, archive)


async def test_retries_come_to_an_end(tmp_path: Path, registry_url: str, repository: str) -> None:
    archive = ARCHIVES["docker-legacy"](tmp_path)
    async with FaultProxy(registry_url) as proxy:
        proxy.answer(is_upload, status=503, headers={"Retry-After": "0"}, times=1000)
        with pytest.raises(ServerError, match="503"):
            await push_docker_tar(archive.path, proxy.url, repository, "1")
        assert proxy.count(is_upload) < 50
