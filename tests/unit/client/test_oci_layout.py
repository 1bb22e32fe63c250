"""OCI layouts read through `ImageArchive`: what there is to choose from, and what is wrong."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from registry_api_v2_client import ArchiveIndex, ImageArchive, Platform, inspect_docker_tar
from registry_api_v2_client.archive import manifest_reader
from registry_api_v2_client.exceptions import ArchiveDigestError, TarReadError, ValidationError
from tests.support.images import (
    OCI_CONFIG,
    OCI_LAYER,
    OCI_MANIFEST,
    Member,
    blob_path,
    make_image,
    oci_blobs,
    save_manifest,
    sha256_digest,
    tar_bytes,
    to_json,
)
from tests.support.layouts import CONTAINERD_NAME, Layout, cosign_tag, platform_image

AMD64, ARM64 = "linux/amd64", "linux/arm64"


def two_platforms(layout: Layout) -> dict[str, object]:
    return layout.index(
        *(layout.image(platform_image(name), platform=name) for name in (AMD64, ARM64))
    )


def opened(layout: Layout, tmp_path: Path) -> ImageArchive:
    return ImageArchive(layout.write(tmp_path / "app.tar"))


# Choosing


def test_an_index_is_chosen_as_a_whole(tmp_path: Path) -> None:
    layout = Layout()
    index = layout.root(two_platforms(layout), "app:1")
    with opened(layout, tmp_path) as archive:
        chosen = archive.select()
        assert isinstance(chosen, ArchiveIndex)
        assert chosen.manifest.raw == layout.blobs[index["digest"]]
        assert [str(image.platform) for image in chosen.images] == [AMD64, ARM64]


def test_platforms_are_told_by_the_config_where_the_index_does_not(tmp_path: Path) -> None:
    layout = Layout()
    layout.root(layout.index(*(layout.image(platform_image(name)) for name in (AMD64, ARM64))))
    with opened(layout, tmp_path) as archive:
        chosen = archive.select(platform=Platform.parse(ARM64))
        assert archive.select(platform=ARM64) == chosen
        assert chosen.images[0].config == platform_image(ARM64).config


def test_a_platform_chooses_among_images_without_an_index(tmp_path: Path) -> None:
    layout = Layout()
    for name in (AMD64, ARM64):
        layout.root(layout.image(platform_image(name)))
    with opened(layout, tmp_path) as archive:
        chosen = archive.select(platform=Platform.parse(ARM64))
        assert chosen.images[0].config == platform_image(ARM64).config
        with pytest.raises(ValidationError, match="holds 2 images"):
            archive.select()


def test_a_platform_that_is_not_there(tmp_path: Path) -> None:
    layout = Layout()
    image = layout.image(platform_image(AMD64), platform=AMD64)
    layout.root(layout.index(image, layout.attestation(image)))
    with (
        opened(layout, tmp_path) as archive,
        pytest.raises(ValidationError, match=r"no image for linux/arm64; it has linux/amd64$"),
    ):
        archive.select(platform=Platform.parse(ARM64))


def test_two_images_for_one_platform_are_chosen_by_digest(tmp_path: Path) -> None:
    layout = Layout()
    images = [layout.image(make_image(author=author), platform=AMD64) for author in ("one", "two")]
    layout.root(layout.index(*images))
    with opened(layout, tmp_path) as archive:
        with pytest.raises(ValidationError, match="choose one by its digest"):
            archive.select(platform=Platform.parse(AMD64))
        for image in images:
            chosen = archive.select(image["digest"])
            assert list(chosen.digests)[-1] == image["digest"]


@pytest.mark.parametrize("name", ["example/app:1", "docker.io/example/app:1"])
def test_names_are_compared_as_references(name: str, tmp_path: Path) -> None:
    layout = Layout()
    image = layout.root(
        layout.image(make_image()), "1", **{CONTAINERD_NAME: "docker.io/example/app:1"}
    )
    layout.root(layout.plain_image(make_image()), "2")
    with opened(layout, tmp_path) as archive:
        assert image["digest"] in archive.select(name).digests


def test_names_that_are_a_tag_or_digest_alone_are_no_original_tags(tmp_path: Path) -> None:
    layout = Layout()
    image = layout.image(make_image())
    for name in ("latest", f"example.com/app@{image['digest']}", "example.com/app:1"):
        layout.root(image, name)
    with opened(layout, tmp_path) as archive:
        assert archive.images[0].original_tags == ("example.com/app:1",)
        assert archive.select("latest") is archive.images[0]


def test_docker_save_and_its_layout_are_one_image(tmp_path: Path) -> None:
    # Docker with the containerd image store: manifest.json knows one platform of the index.
    layout = Layout()
    layout.root(two_platforms(layout), "1", **{CONTAINERD_NAME: "docker.io/example/app:1"})
    image = platform_image(AMD64)
    amd64 = json.loads(layout.blobs[layout.read(layout.roots[0])["manifests"][0]["digest"]])
    names = [f"blobs/sha256/{layer['digest'][7:]}" for layer in amd64["layers"]]
    layout.more.append(save_manifest([(image, blob_path(image.config), names)]))
    with opened(layout, tmp_path) as archive:
        (index,) = archive.images
        assert isinstance(index, ArchiveIndex)
        assert index.tags == image.tags


def test_two_manifests_of_one_image_keep_their_own_tags(tmp_path: Path) -> None:
    layout, image = Layout(), make_image(tags=("example/app:1", "example/app:2"))
    made = {
        tag: layout.root(layout.plain_image(image, annotations={"for": tag}), tag)
        for tag in image.tags
    }
    names = [blob_path(layer) for layer in image.layers]
    layout.more.append(save_manifest([(image, blob_path(image.config), names)]))
    with opened(layout, tmp_path) as archive:
        for tag, descriptor in made.items():
            assert descriptor["digest"] in archive.select(tag).digests


def test_what_the_layout_does_not_know_is_there_too(tmp_path: Path) -> None:
    first, second = make_image(), make_image(author="another", tags=("example/other:2",))
    members = [m for m in oci_blobs((first, second)) if m.name != "index.json"]
    index = Layout()
    index.root(index.plain_image(first))
    members += [m for m in index.members() if m.name not in {n.name for n in members}]
    (tmp_path / "app.tar").write_bytes(tar_bytes(members))
    with ImageArchive(tmp_path / "app.tar") as archive:
        assert [bool(image.images[0].manifest) for image in archive.images] == [True, False]
        assert archive.images[1].tags == second.tags


def test_the_first_image_of_an_index_is_inspected(tmp_path: Path) -> None:
    layout = Layout()
    layout.root(two_platforms(layout), "app:1")
    described = inspect_docker_tar(layout.write(tmp_path / "app.tar"))
    assert described.architecture == "amd64"
    assert described.repo_tags == ["app:1"]
    assert {layer.media_type for layer in described.layers} == {f"{OCI_LAYER}+gzip"}


# Companions


def test_what_is_about_an_image_is_no_image(tmp_path: Path) -> None:
    layout = Layout()
    image = layout.root(layout.image(make_image()), "app:1")
    layout.sign(image)
    layout.root(layout.referrer(image))
    with opened(layout, tmp_path) as archive:
        assert len(archive.images) == 1
        assert {companion.subject for companion in archive.companions} == {image["digest"]}


def test_what_is_about_something_elsewhere_is_an_image_by_itself(tmp_path: Path) -> None:
    elsewhere, layout = Layout(), Layout()
    image = elsewhere.image(make_image())
    layout.root(layout.referrer(image), "sbom")
    layout.root(layout.signature(image), cosign_tag(image))
    with opened(layout, tmp_path) as archive:
        assert [image.tags for image in archive.images] == [("sbom",), (cosign_tag(image),)]


def test_cosign_signatures_of_several_images_go_by_name(tmp_path: Path) -> None:
    layout = Layout()
    signed = {}
    for name in ("example/app:1", "example/app:2"):
        image = layout.image(make_image(author=name))
        layout.root(image, name, kind="dev.cosignproject.cosign/image")
        signature = layout.signature(image)
        layout.root(signature, name, kind="dev.cosignproject.cosign/sigs")
        signed[signature["digest"]] = image["digest"]
    with opened(layout, tmp_path) as archive:
        assert len(archive.images) == 2
        assert {one.digest: one.subject for one in archive.companions} == signed


# What is wrong


def broken(*, make: Callable[[Layout], object]) -> Callable[[Path], Path]:
    def build(directory: Path) -> Path:
        layout = Layout()
        make(layout)
        return layout.write(directory / "broken.tar")

    return build


def nested(depth: int) -> Callable[[Layout], object]:
    def make(layout: Layout) -> object:
        made = layout.image(make_image())
        for _ in range(depth):
            made = layout.index(made)
        return layout.root(made)

    return make


def without_layer(layout: Layout) -> None:
    index = layout.root(two_platforms(layout))
    child = layout.read(index)["manifests"][1]
    del layout.blobs[layout.read(child)["layers"][1]["digest"]]


def none_held(layout: Layout) -> None:
    index = layout.root(two_platforms(layout))
    for child in layout.read(index)["manifests"]:
        del layout.blobs[child["digest"]]


def root_of(**fields: Any) -> Callable[[Layout], object]:
    """An image whose manifest says something else."""
    return lambda layout: layout.root(layout.image(make_image(), **fields))


def descriptor_of(**fields: object) -> Callable[[Layout], object]:
    """An image whose descriptor in index.json says something else."""
    return lambda layout: layout.root({**layout.image(make_image()), **fields})


def unknown_child(layout: Layout) -> None:
    layout.root(layout.index(layout.document("application/vnd.example+json", {"layers": []})))


SHA512 = "sha512:" + "a" * 128

WRONG = {
    "too-deep": (nested(6), "nests indexes"),
    "layer-of-a-platform-missing": (without_layer, "layer .* is missing"),
    "no-platform-held": (none_held, "none of the images of its index"),
    "unknown-manifest-type": (unknown_child, r"application/vnd\.example\+json, neither"),
    "root-missing": (descriptor_of(digest=sha256_digest(b"?")), "manifest .* is missing"),
    "other-digest-algorithm": (descriptor_of(digest=SHA512), "not a sha256 digest"),
    "digest-no-string": (descriptor_of(digest=["x"]), "not a sha256 digest"),
    "wrong-size": (descriptor_of(size=7), r"bytes, but its descriptor says 7"),
    "size-no-number": (descriptor_of(size="many"), "its descriptor says many"),
    "no-config": (root_of(config=None), "names no config"),
    "layers-no-list": (root_of(layers={"a": 1}), "no list of layers"),
    "layer-no-object": (root_of(layers=["a"]), "no list of layers"),
    "layer-without-digest": (
        root_of(layers=[{"mediaType": OCI_LAYER}]),
        "do not match|not a sha256",
    ),
    "manifests-no-list": (
        lambda layout: layout.root(layout.document("application/vnd.oci.image.index.v1+json", {})),
        "no list of manifests",
    ),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_wrong_is_named_in_one_line(kind: str, tmp_path: Path) -> None:
    make, words = WRONG[kind]
    path = broken(make=make)(tmp_path)
    with pytest.raises(TarReadError, match=words) as caught:
        ImageArchive(path)
    assert str(path) in str(caught.value)
    assert "\n" not in str(caught.value)


def test_indexes_may_be_nested_some_way(tmp_path: Path) -> None:
    with ImageArchive(broken(make=nested(4))(tmp_path)) as archive:
        assert len(archive.images[0].images) == 1


def test_indexes_that_name_each_other_many_times_are_read_once(tmp_path: Path) -> None:
    layout = Layout()
    made = layout.image(make_image())
    for _ in range(4):
        made = layout.index(*[made] * 2000)
    layout.root(made)
    with opened(layout, tmp_path) as archive:
        assert len(archive.images[0].images) == 1


def test_indexes_that_all_lead_to_many_images_have_a_bound(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(manifest_reader, "MAX_IMAGES", 100)
    layout = Layout()
    images = [layout.image(make_image(author=str(number))) for number in range(10)]
    for number in range(11):
        layout.root(layout.index(*images, number=number))
    with pytest.raises(TarReadError, match="more than 100 images"):
        opened(layout, tmp_path)


def test_a_manifest_that_lies_about_its_digest(tmp_path: Path) -> None:
    layout = Layout()
    image = layout.root(layout.image(make_image()))
    layout.blobs[image["digest"]] = layout.blobs[image["digest"]].replace(b"layers", b"LAYERS")
    members = [Member(f"blobs/sha256/{digest[7:]}", data) for digest, data in layout.blobs.items()]
    members.append(Member("index.json", to_json({"manifests": layout.roots})))
    (tmp_path / "app.tar").write_bytes(tar_bytes(members))
    with pytest.raises(ArchiveDigestError, match="has digest"):
        ImageArchive(tmp_path / "app.tar")


@pytest.mark.parametrize(("magic", "name"), [(b"BZh9", "bzip2"), (b"\xfd7zXZ\x00\x00", "xz")])
def test_layers_that_no_registry_knows(magic: bytes, name: str, tmp_path: Path) -> None:
    layout = Layout()
    layout.root(layout.image(make_image(), compress=lambda data: magic + data))
    with pytest.raises(TarReadError, match=f"compressed with {name}.*gzip or zstd"):
        opened(layout, tmp_path)


def test_null_stands_for_no_layers(tmp_path: Path) -> None:
    layout = Layout()
    config = layout.blob(OCI_CONFIG, b"{}")
    layout.root(layout.document(OCI_MANIFEST, {"config": config, "layers": None}))
    with opened(layout, tmp_path) as archive:
        assert archive.images[0].images[0].layers == ()
