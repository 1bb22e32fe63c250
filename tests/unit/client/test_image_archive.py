"""Every kind of archive read through `ImageArchive`: the images come out byte for byte."""

import gc
import os
import tarfile
import threading
import warnings
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from registry_api_v2_client.archive.contents import MAX_LAYERS
from registry_api_v2_client.archive.image_archive import ImageArchive
from registry_api_v2_client.archive.model import ArchiveImage, Layer
from registry_api_v2_client.exceptions import (
    ArchiveDigestError,
    RegistryError,
    SourceUnreadableError,
    TarReadError,
    ValidationError,
)
from registry_api_v2_client.media_types import Compression
from tests.support.broken_images import BROKEN, LYING_DIGEST, UNREADABLE
from tests.support.contents import as_image, images_of, member_of
from tests.support.images import (
    APP_LAYER,
    ARCHIVES,
    BASE_LAYER,
    OCI_LAYOUT,
    SEVERAL_IMAGES,
    Archive,
    Compress,
    Image,
    Member,
    blob_path,
    docker_legacy,
    gzip_bytes,
    make_image,
    oci_blobs,
    save_manifest,
    sha256_digest,
    tar_bytes,
    to_json,
    write_archive,
)
from tests.support.skopeo import decompress

ALL = {**ARCHIVES, "oci-layout": OCI_LAYOUT}


def stored(archive: ImageArchive, layer: Layer) -> bytes:
    """All bytes of a layer, read in blocks as the engine does."""
    content = bytearray()
    block = memoryview(bytearray(10_000))
    with archive.images[0].tar.open(member_of(layer)) as reader:
        while count := reader.readinto(block):
            content += block[:count]
    return bytes(content)


def contents(archive: ImageArchive, layers: Iterable[Layer]) -> list[bytes]:
    return [decompress(stored(archive, layer)) for layer in layers]


@pytest.mark.parametrize("kind", ALL)
def test_config_and_layers_come_out_unchanged(kind: str, tmp_path: Path) -> None:
    built = ALL[kind](tmp_path)
    with ImageArchive(built.path) as archive:
        (image,) = images_of(archive)
        assert image.config == built.image.config
        assert image.config_digest == sha256_digest(built.image.config)
        assert contents(archive, image.layers) == list(built.image.layers)


@pytest.mark.parametrize("kind", ALL)
def test_claims_are_true_where_there_are_any(kind: str, tmp_path: Path) -> None:
    built = ALL[kind](tmp_path)
    with ImageArchive(built.path) as archive:
        for layer, content in zip(images_of(archive)[0].layers, built.image.layers, strict=True):
            assert layer.digest in {None, sha256_digest(stored(archive, layer))}
            assert layer.diff_id in {None, sha256_digest(content)}
            assert layer.size == len(stored(archive, layer))


@pytest.mark.parametrize("kind", ALL)
def test_a_diff_id_is_known_wherever_the_config_has_it(kind: str, tmp_path: Path) -> None:
    built = ALL[kind](tmp_path)
    with ImageArchive(built.path) as archive:
        if b"diff_ids" in built.image.config:
            diff_ids = [layer.diff_id for layer in images_of(archive)[0].layers]
            assert diff_ids == built.image.diff_ids


@pytest.mark.parametrize("kind", ALL)
def test_a_carried_manifest_is_kept_byte_for_byte(kind: str, tmp_path: Path) -> None:
    built = ALL[kind](tmp_path)
    with ImageArchive(built.path) as archive:
        manifest = archive.images[0].manifest
        assert (manifest.raw if manifest else None) == built.manifest


def test_an_archive_without_claims_has_none(tmp_path: Path) -> None:
    with ImageArchive(ARCHIVES["no-claims-at-all"](tmp_path).path) as archive:
        claims = {(layer.digest, layer.diff_id) for layer in images_of(archive)[0].layers}
    assert claims == {(None, None)}


@pytest.mark.parametrize(
    ("kind", "compression"),
    [
        ("docker-oci", Compression.NONE),
        ("containerd", Compression.GZIP),
        ("bazel", Compression.GZIP),
        ("containerd-zstd-layers", Compression.ZSTD),
        ("layer-no-tar", Compression.NONE),
    ],
)
def test_compression_is_told_by_the_bytes(
    kind: str, compression: Compression, tmp_path: Path
) -> None:
    with ImageArchive(ARCHIVES[kind](tmp_path).path) as archive:
        assert {layer.compression for layer in images_of(archive)[0].layers} == {compression}


# Several images


def test_every_image_of_a_tar_is_read(tmp_path: Path) -> None:
    built = SEVERAL_IMAGES(tmp_path)
    with ImageArchive(built.path) as archive:
        assert [image.config for image in images_of(archive)] == [i.config for i in built.images]
        for image, expected in zip(images_of(archive), built.images, strict=True):
            assert contents(archive, image.layers) == list(expected.layers)


def test_an_image_is_selected_by_its_tag(tmp_path: Path) -> None:
    built = SEVERAL_IMAGES(tmp_path)
    with ImageArchive(built.path) as archive:
        assert as_image(archive.select("example/other:2.0")).config == built.images[1].config
        with pytest.raises(ValidationError, match=r"example/app:1\.0, example/other:2\.0"):
            archive.select("example/none:1")
        with pytest.raises(ValidationError, match="holds 2 images"):
            archive.select()


def test_a_tag_that_two_images_claim_chooses_neither(tmp_path: Path) -> None:
    images = make_image(), make_image(os="plan9")
    built = write_archive(tmp_path / "image.tar", oci_blobs, *images)
    with (
        ImageArchive(built.path) as archive,
        pytest.raises(ValidationError, match=r"holds 2 images named example/app:1\.0"),
    ):
        archive.select("example/app:1.0")


def test_the_only_image_needs_no_tag(tmp_path: Path) -> None:
    built = ARCHIVES["no-tags"](tmp_path)
    with ImageArchive(built.path) as archive:
        assert as_image(archive.select()).config == built.image.config


# Reading


@pytest.mark.parametrize("kind", ["docker-oci", "file-gzipped", "file-zstd"])
def test_layers_can_be_read_side_by_side_and_in_any_order(kind: str, tmp_path: Path) -> None:
    built = ARCHIVES[kind](tmp_path)
    with ImageArchive(built.path) as archive:
        first, second = images_of(archive)[0].layers
        tar = archive.images[0].tar
        with tar.open(member_of(second)) as late, tar.open(member_of(first)) as early:
            halves = [memoryview(bytearray(layer.size)) for layer in (first, second)]
            middle = first.size // 2
            early.readinto(halves[0][:middle])
            late.readinto(halves[1])
            early.readinto(halves[0][middle:])
        assert [bytes(half) for half in halves] == list(built.image.layers)


def descriptors_of(path: Path) -> int:
    """How often this process has the file open; others come and go, as garbage is collected."""
    open_files = [os.path.realpath(each) for each in Path("/proc/self/fd").iterdir()]
    return open_files.count(str(path.resolve()))


def test_going_back_and_forth_opens_a_plain_tar_once(tmp_path: Path) -> None:
    built = ARCHIVES["docker-oci"](tmp_path)
    with ImageArchive(built.path) as archive:
        contents(archive, images_of(archive)[0].layers)
        before = descriptors_of(built.path)
        assert before > 0
        for _ in range(10):
            contents(archive, reversed(images_of(archive)[0].layers))
        assert descriptors_of(built.path) == before
    assert descriptors_of(built.path) == 0


def test_threads_read_the_same_archive_at_once(tmp_path: Path) -> None:
    built = ARCHIVES["file-gzipped"](tmp_path)
    results: dict[int, list[bytes]] = {}
    with ImageArchive(built.path) as archive:
        layers = images_of(archive)[0].layers

        def read(number: int) -> None:
            order = layers if number % 2 else tuple(reversed(layers))
            results[number] = sorted(contents(archive, order))

        threads = [threading.Thread(target=read, args=(number,)) for number in range(6)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    assert results == dict.fromkeys(range(6), sorted(built.image.layers))


def test_nothing_is_extracted(tmp_path: Path) -> None:
    built = ARCHIVES["docker-legacy"](tmp_path)
    with ImageArchive(built.path) as archive:
        contents(archive, images_of(archive)[0].layers)
    assert list(tmp_path.iterdir()) == [built.path]


def test_a_file_cut_while_it_is_read_is_an_error_of_the_archive(tmp_path: Path) -> None:
    built = write_archive(tmp_path / "image.tar", docker_legacy, make_image(bytes(5_000_000)))
    with ImageArchive(built.path) as archive:
        os.truncate(built.path, 1_000_000)
        with pytest.raises(TarReadError, match="ends in the middle"):
            stored(archive, images_of(archive)[0].layers[0])


def test_a_reader_that_outlives_its_archive_is_closed(tmp_path: Path) -> None:
    # As when a push fails while a thread still reads another layer.
    with ImageArchive(ARCHIVES["docker-oci"](tmp_path).path) as archive:
        reader = archive.images[0].tar.open(member_of(images_of(archive)[0].layers[0]))
    reader.close()
    del reader, archive
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ResourceWarning)
        gc.collect()
    assert [str(warning.message) for warning in caught] == []


# Broken archives


@pytest.mark.parametrize("kind", BROKEN)
def test_a_broken_archive_is_named_in_one_line(kind: str, tmp_path: Path) -> None:
    path = BROKEN[kind](tmp_path)
    with pytest.raises(TarReadError) as caught:
        ImageArchive(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("kind", UNREADABLE)
def test_what_is_no_file_is_an_error_of_the_caller(kind: str, tmp_path: Path) -> None:
    with pytest.raises(SourceUnreadableError):
        ImageArchive(UNREADABLE[kind](tmp_path))


@pytest.mark.parametrize(
    ("kind", "words"),
    [
        ("empty-file", "is empty"),
        ("manifest-no-json", r"manifest\.json .* not valid JSON"),
        ("manifest-no-utf8", r"manifest\.json .* not valid JSON"),
        ("manifest-no-list", "not a list of images"),
        ("manifest-empty-list", "lists no image"),
        ("config-missing", "config .* is missing"),
        ("layer-missing", "layer .* is missing"),
        ("link-loop", "form a loop"),
    ],
)
def test_the_message_says_what_is_wrong(kind: str, words: str, tmp_path: Path) -> None:
    with pytest.raises(TarReadError, match=words):
        ImageArchive(BROKEN[kind](tmp_path))


def test_a_lie_about_a_layer_is_not_seen_before_it_is_read(tmp_path: Path) -> None:
    with ImageArchive(LYING_DIGEST(tmp_path)) as archive:
        layer = images_of(archive)[0].layers[1]
        assert layer.digest == sha256_digest(APP_LAYER) != sha256_digest(stored(archive, layer))


def one_layer(name: str, *members: Member) -> list[Member]:
    """An archive whose only layer is the member of that name."""
    image = make_image(APP_LAYER)
    manifest = save_manifest([(image, "config.json", [name])])
    return [manifest, Member("config.json", image.config), *members]


def open_image(tmp_path: Path, members: list[Member]) -> Archive:
    path = tmp_path / "image.tar"
    path.write_bytes(tar_bytes(members))
    return Archive(path, ())


def read_only_layer(path: Path) -> bytes:
    with ImageArchive(path) as archive:
        return stored(archive, images_of(archive)[0].layers[0])


@pytest.mark.parametrize("prefix", ["./", "/", "a/../"])
def test_names_are_compared_as_paths(prefix: str, tmp_path: Path) -> None:
    members = one_layer("layer.tar", Member(f"{prefix}layer.tar", APP_LAYER))
    assert read_only_layer(open_image(tmp_path, members).path) == APP_LAYER


def test_links_stay_inside_the_archive(tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(APP_LAYER)
    members = one_layer("a/layer.tar", Member("a/layer.tar", link=str(secret)))
    with pytest.raises(TarReadError):
        ImageArchive(open_image(tmp_path, members).path)


def test_the_later_of_two_members_of_one_name_counts(tmp_path: Path) -> None:
    twice = (Member("layer.tar", BASE_LAYER), Member("layer.tar", APP_LAYER))
    members = one_layer("layer.tar", *twice)
    assert read_only_layer(open_image(tmp_path, members).path) == APP_LAYER


def test_a_hard_link_is_followed(tmp_path: Path) -> None:
    path = open_image(tmp_path, one_layer("link.tar", Member("real.tar", APP_LAYER))).path
    with tarfile.open(path, "a") as tar:
        link = tarfile.TarInfo("link.tar")
        link.type, link.linkname = tarfile.LNKTYPE, "real.tar"
        tar.addfile(link)
    assert read_only_layer(path) == APP_LAYER


def test_a_config_that_lies_about_its_digest(tmp_path: Path) -> None:
    def layout(images: tuple[Image, ...]) -> list[Member]:
        name = blob_path(images[0].config)
        other = make_image(os="plan9").config
        return [Member(m.name, other) if m.name == name else m for m in oci_blobs(images)]

    built = write_archive(tmp_path / "image.tar", layout, make_image())
    with pytest.raises(ArchiveDigestError, match=blob_path(make_image().config)):
        ImageArchive(built.path)


def test_diff_ids_that_do_not_match_the_layers(tmp_path: Path) -> None:
    rootfs = {"type": "layers", "diff_ids": [sha256_digest(APP_LAYER)]}
    image = make_image(diff_ids=False, rootfs=rootfs)
    built = write_archive(tmp_path / "image.tar", docker_legacy, image)
    with pytest.raises(TarReadError, match="diff_ids do not match its 2 layers"):
        ImageArchive(built.path)


@pytest.mark.parametrize("diff_id", ["sha256:../../other", "sha512:" + "0" * 128, "sha256:0", ""])
def test_diff_ids_that_are_no_digests(diff_id: str, tmp_path: Path) -> None:
    rootfs = {"type": "layers", "diff_ids": [diff_id]}
    image = make_image(APP_LAYER, diff_ids=False, rootfs=rootfs)
    built = write_archive(tmp_path / "image.tar", docker_legacy, image)
    with pytest.raises(TarReadError, match="is not a sha256:… digest"):
        ImageArchive(built.path)


def test_more_layers_than_any_image_has(tmp_path: Path) -> None:
    image = make_image(*[b"same"] * (MAX_LAYERS + 1))
    built = write_archive(tmp_path / "image.tar", oci_blobs, image)
    with pytest.raises(TarReadError, match="more than 1024 layers"):
        ImageArchive(built.path)


@pytest.mark.parametrize("compress", [bytes, gzip_bytes])
def test_one_config_for_a_thousand_images_is_not_read_a_thousand_times(
    compress: Compress, tmp_path: Path
) -> None:
    config = make_image(padding="x" * 1_000_000).config
    layers = [blob_path(layer) for layer in (BASE_LAYER, APP_LAYER)]
    entries = [{"Config": "config.json", "Layers": layers}] * 1000
    members = [
        Member("config.json", config),
        *(Member(blob_path(layer), layer) for layer in (BASE_LAYER, APP_LAYER)),
        Member("manifest.json", to_json(entries)),
    ]
    path = tmp_path / "image.tar"
    path.write_bytes(compress(tar_bytes(members)))
    with pytest.raises(TarReadError, match="save fewer images into one tar"):
        ImageArchive(path)


def test_no_hostile_name_reaches_a_terminal(tmp_path: Path) -> None:
    members = one_layer("\x1b[2Jlayer\nERROR forged")
    with pytest.raises(TarReadError) as caught:
        ImageArchive(open_image(tmp_path, members).path)
    assert str(caught.value).isprintable()
    assert r"layer \x1b[2Jlayer\nERROR forged is missing" in str(caught.value)


def test_a_manifest_too_large_to_make_sense(tmp_path: Path) -> None:
    members = [Member("manifest.json", b"[" + b" " * (9 << 20) + b"]")]
    with pytest.raises(TarReadError, match="at most"):
        ImageArchive(open_image(tmp_path, members).path)


def test_json_nested_too_deep(tmp_path: Path) -> None:
    members = [Member("manifest.json", b"[" * 200_000)]
    with pytest.raises(TarReadError, match="not valid JSON"):
        ImageArchive(open_image(tmp_path, members).path)


WHOLE = tar_bytes(docker_legacy((make_image(b"layer one", b"layer two"),)))
PACKED = gzip_bytes(WHOLE)


@given(data=st.data())
def test_any_cut_or_flipped_byte_reads_well_or_is_an_error_of_ours(
    data: st.DataObject, tmp_path_factory: pytest.TempPathFactory
) -> None:
    whole = data.draw(st.sampled_from([WHOLE, PACKED]))
    position = data.draw(st.integers(0, len(whole) - 1))
    flip = data.draw(st.integers(1, 255))
    cut = data.draw(st.booleans())
    spoiled = bytearray(whole)
    spoiled[position] ^= flip
    path = tmp_path_factory.getbasetemp() / "spoiled.tar"
    path.write_bytes(whole[:position] if cut else spoiled)
    try:
        with ImageArchive(path) as archive:
            for image in images_of(archive):
                read_all(archive, image)
    except RegistryError as error:
        assert "\n" not in str(error)  # noqa: PT017 - reading may succeed as well


def read_all(archive: ImageArchive, image: ArchiveImage) -> None:
    for layer in image.layers:
        stored(archive, layer)
