"""Archives as tools write them, pushed to a real registry and read back with skopeo.

Generated replicas; what real tools write is in test_archive_tools.
"""

import json
from pathlib import Path
from typing import Any

import pytest

from registry_api_v2_client import (
    CompressionPolicy,
    Platform,
    PushedImage,
    RegistryClient,
    ValidationError,
    list_tags,
    parse_reference,
)
from registry_api_v2_client.media_types import (
    DOCKER,
    DOCKER_MANIFEST,
    DOCKER_MANIFEST_LIST,
    Compression,
)
from tests.support.images import (
    OCI_INDEX,
    OCI_LAYER,
    make_image,
    sha256_digest,
)
from tests.support.layouts import (
    CONTAINERD_NAME,
    Descriptor,
    Layout,
    cosign_tag,
    platform_image,
    platform_of,
)
from tests.support.skopeo import decompress, raw_manifest, skopeo, skopeo_copy_to_dir

pytestmark = pytest.mark.integration

PLATFORMS = ["linux/amd64", "linux/arm64", "linux/arm/v7"]


async def push(
    path: Path,
    reference: str,
    *,
    image: str | None = None,
    platform: str | None = None,
    compression: str = "gzip",
) -> PushedImage:
    async with RegistryClient() as client:
        return await client.push(
            path,
            [parse_reference(reference)],
            image=image,
            platform=Platform.parse(platform) if platform else None,
            compression=CompressionPolicy(compression),
        )


@pytest.fixture
def place(registry_host: str, repository: str) -> str:
    """Where the test pushes to, without a tag."""
    return f"{registry_host}/{repository}"


def platform_index(layout: Layout, *, plain: bool = False, **fields: Any) -> Descriptor:
    make = layout.plain_image if plain else layout.image
    images = [make(platform_image(name), platform=name) for name in PLATFORMS]
    return layout.index(*images, **fields)


# Indexes


async def test_an_index_arrives_with_all_its_platforms_and_its_digest(
    tmp_path: Path, place: str
) -> None:
    layout = Layout()
    index = layout.root(platform_index(layout, annotations={"made": "here"}), "app:1")
    pushed = await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    assert pushed == PushedImage(index["digest"], OCI_INDEX)
    assert raw_manifest(f"{place}:1") == layout.blobs[index["digest"]]
    copy = tmp_path / "back"
    skopeo("copy", "--all", "--src-tls-verify=false", f"docker://{place}:1", f"dir:{copy}")
    for entry in layout.read(index)["manifests"]:
        assert raw_manifest(f"{place}@{entry['digest']}") == layout.blobs[entry["digest"]]
        for layer in layout.read(entry)["layers"]:
            stored = (copy / layer["digest"].removeprefix("sha256:")).read_bytes()
            assert stored == layout.blobs[layer["digest"]]


@pytest.mark.parametrize("platform", ["linux/arm64", "linux/arm64/v8", "linux/arm/v7", "linux/arm"])
async def test_one_platform_of_an_index_keeps_its_digest(
    platform: str, tmp_path: Path, place: str
) -> None:
    layout = Layout()
    index = layout.root(platform_index(layout), "app:1")
    pushed = await push(layout.write(tmp_path / "app.tar"), f"{place}:1", platform=platform)
    child = layout.read(index)["manifests"][1 if "64" in platform else 2]
    assert pushed.digest == child["digest"]
    assert raw_manifest(f"{place}:1") == layout.blobs[child["digest"]]


async def test_an_index_within_an_index(tmp_path: Path, place: str) -> None:
    layout = Layout()
    outer = layout.root(layout.index(platform_index(layout), layout.image(make_image())))
    await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    assert raw_manifest(f"{place}:1") == layout.blobs[outer["digest"]]
    inner = layout.read(outer)["manifests"][0]
    assert raw_manifest(f"{place}@{inner['digest']}") == layout.blobs[inner["digest"]]


async def test_index_json_can_be_the_image_itself(tmp_path: Path, place: str) -> None:
    layout = Layout()
    for name in PLATFORMS:
        layout.root(layout.image(platform_image(name), platform=name))
    path = layout.write(tmp_path / "app.tar")
    (index,) = [member.data for member in layout.members() if member.name == "index.json"]
    pushed = await push(path, f"{place}:1")
    assert pushed.digest == sha256_digest(index)
    assert raw_manifest(f"{place}:1") == index


@pytest.mark.parametrize("compression", ["gzip", "zstd"])
async def test_an_index_of_recompressed_images_is_built_anew(
    compression: str, tmp_path: Path, place: str
) -> None:
    layout = Layout()
    index = layout.root(platform_index(layout, plain=True, annotations={"made": "here"}))
    path = layout.write(tmp_path / "app.tar")
    pushed = await push(path, f"{place}:1", compression=compression)
    document = json.loads(raw_manifest(f"{place}:1"))
    original = layout.read(index)
    assert pushed.digest != index["digest"]
    assert document["annotations"] == {"made": "here"}
    platforms = [entry["platform"] for entry in original["manifests"]]
    assert [entry["platform"] for entry in document["manifests"]] == platforms
    for entry, name in zip(document["manifests"], PLATFORMS, strict=True):
        pulled = skopeo_copy_to_dir(f"{place}@{entry['digest']}", tmp_path / entry["digest"])
        assert len(pulled.manifest_bytes) == entry["size"]
        assert pulled.contents == list(platform_image(name).layers)
        types = {layer["mediaType"] for layer in pulled.manifest["layers"]}
        assert types == {f"{OCI_LAYER}+{compression}"}


@pytest.mark.parametrize(
    ("compression", "media_type"), [("gzip", DOCKER_MANIFEST_LIST), ("zstd", OCI_INDEX)]
)
async def test_zstd_makes_an_oci_index_of_docker_s_list(
    compression: str, media_type: str, tmp_path: Path, place: str
) -> None:
    layout, children = Layout(), []
    for name in PLATFORMS:
        image = platform_image(name)
        layers = [layout.blob(DOCKER.layers[Compression.NONE], data) for data in image.layers]
        manifest = {"config": layout.blob(DOCKER.config, image.config), "layers": layers}
        platform = platform_of(name)
        children.append(layout.document(DOCKER_MANIFEST, manifest, platform=platform))
    layout.root(layout.document(DOCKER_MANIFEST_LIST, {"manifests": children}))
    path = layout.write(tmp_path / "app.tar")
    pushed = await push(path, f"{place}:1", compression=compression)
    assert pushed.media_type == media_type
    document = json.loads(raw_manifest(f"{place}:1"))
    assert document["mediaType"] == media_type
    for entry, name in zip(document["manifests"], PLATFORMS, strict=True):
        pulled = skopeo_copy_to_dir(f"{place}@{entry['digest']}", tmp_path / entry["digest"])
        assert pulled.manifest["mediaType"] == entry["mediaType"]
        assert pulled.contents == list(platform_image(name).layers)


async def test_only_what_changes_is_built_anew(tmp_path: Path, place: str) -> None:
    layout = Layout()
    packed = layout.image(platform_image("linux/amd64"), platform="linux/amd64")
    plain = layout.plain_image(platform_image("linux/arm64"), platform="linux/arm64")
    layout.root(layout.index(packed, plain))
    await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    entries = json.loads(raw_manifest(f"{place}:1"))["manifests"]
    assert entries[0] == packed
    assert entries[1]["digest"] != plain["digest"]


async def test_an_archive_of_one_platform_is_pushed_as_docker_pushes_it(
    tmp_path: Path, place: str
) -> None:
    # `docker pull` of one platform, then `docker save` with the containerd image store.
    layout = Layout()
    index = layout.root(platform_index(layout), "1", **{CONTAINERD_NAME: "docker.io/example/app:1"})
    amd64, *others = layout.read(index)["manifests"]
    for other in others:
        del layout.blobs[other["digest"]]
    pushed = await push(layout.write(tmp_path / "app.tar"), f"{place}:1", image="example/app:1")
    assert pushed.digest == amd64["digest"]
    (note,) = pushed.notes
    assert "1 of the 3" in note
    assert "linux/amd64" in note


async def test_an_index_of_some_platforms_names_those_alone(tmp_path: Path, place: str) -> None:
    layout = Layout()
    index = layout.root(platform_index(layout))
    *held, missing = layout.read(index)["manifests"]
    del layout.blobs[missing["digest"]]
    pushed = await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    assert json.loads(raw_manifest(f"{place}:1"))["manifests"] == held
    assert "2 of the 3" in pushed.notes[0]


async def test_a_second_push_of_an_index_sends_nothing_but_tags(tmp_path: Path, place: str) -> None:
    layout = Layout()
    layout.root(platform_index(layout))
    path = layout.write(tmp_path / "app.tar")
    first = await push(path, f"{place}:1")
    assert await push(path, f"{place}:2") == first
    assert raw_manifest(f"{place}:2") == raw_manifest(f"{place}:1")


# What is said about images


async def test_attestations_go_along_with_their_index(tmp_path: Path, place: str) -> None:
    layout = Layout()
    image = layout.image(make_image(), platform="linux/amd64")
    attestation = layout.attestation(image)
    index = layout.root(layout.index(image, attestation))
    pushed = await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    assert pushed == PushedImage(index["digest"], OCI_INDEX)
    statement = layout.read(attestation)["layers"][0]["digest"]
    pulled = skopeo_copy_to_dir(f"{place}@{attestation['digest']}", tmp_path / "back")
    assert pulled.layers == [layout.blobs[statement]]


async def test_an_attestation_of_what_changed_is_left_out(tmp_path: Path, place: str) -> None:
    layout = Layout()
    image = layout.plain_image(make_image(), platform="linux/amd64")
    layout.root(layout.index(image, layout.attestation(image)))
    path = layout.write(tmp_path / "app.tar")
    pushed = await push(path, f"{place}:1")
    assert len(json.loads(raw_manifest(f"{place}:1"))["manifests"]) == 1
    (note,) = pushed.notes
    assert "left out: 1" in note
    kept = await push(path, f"{place}:2", compression="keep")
    assert len(json.loads(raw_manifest(f"{place}:2"))["manifests"]) == 2
    assert kept.notes == ()


async def test_signatures_and_referrers_go_along(
    tmp_path: Path, place: str, registry_url: str, repository: str
) -> None:
    layout = Layout()
    image = layout.root(layout.image(make_image()), "app:1")
    signature = layout.sign(image)
    sbom = layout.root(layout.referrer(image))
    about_sbom = layout.root(layout.referrer(sbom, b'{"about": "sbom"}'))
    pushed = await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    assert pushed == PushedImage(image["digest"], image["mediaType"])
    assert raw_manifest(f"{place}:{cosign_tag(image)}") == layout.blobs[signature["digest"]]
    for referrer, subject in ((sbom, image), (about_sbom, sbom)):
        assert raw_manifest(f"{place}@{referrer['digest']}") == layout.blobs[referrer["digest"]]
        # The registry has no referrers API, so clients look at this tag.
        listed = json.loads(raw_manifest(f"{place}:{cosign_tag(subject, '')}"))
        (entry,) = listed["manifests"]
        assert entry["digest"] == referrer["digest"]
        assert entry["artifactType"] == "application/spdx+json"
    tags = await list_tags(registry_url, repository)
    assert sorted(tags) == sorted(
        ["1", cosign_tag(image), cosign_tag(image, ""), cosign_tag(sbom, "")]
    )


async def test_the_signature_of_one_platform_goes_along_with_the_index(
    tmp_path: Path, place: str
) -> None:
    layout = Layout()
    index = layout.root(platform_index(layout), "app:1")
    child = layout.read(index)["manifests"][0]
    for signed in (index, child):
        layout.sign(signed)
    path = layout.write(tmp_path / "app.tar")
    assert (await push(path, f"{place}:1")).notes == ()
    for signed in (index, child):
        assert raw_manifest(f"{place}:{cosign_tag(signed)}")
    one = await push(path, f"{place}-one:1", platform="linux/amd64")
    assert raw_manifest(f"{place}-one:{cosign_tag(child)}")
    assert "left out: 1" in one.notes[0]


async def test_a_signature_of_what_changed_is_left_out(
    tmp_path: Path, place: str, registry_url: str, repository: str
) -> None:
    layout = Layout()
    image = layout.root(layout.plain_image(make_image()), "app:1")
    layout.sign(image)
    layout.root(layout.referrer(image))
    path = layout.write(tmp_path / "app.tar")
    pushed = await push(path, f"{place}:1")
    assert await list_tags(registry_url, repository) == ["1"]
    assert "left out: 2" in pushed.notes[0]
    assert (await push(path, f"{place}:1", compression="keep")).notes == ()
    assert raw_manifest(f"{place}:{cosign_tag(image)}")


@pytest.mark.parametrize(
    ("kind", "ending"), [("sigs", ".sig"), ("atts", ".att"), ("sboms", ".sbom")]
)
async def test_what_cosign_saves_is_found_by_cosign(
    kind: str, ending: str, tmp_path: Path, place: str
) -> None:
    layout = Layout()
    image = layout.root(layout.image(make_image()), kind="dev.cosignproject.cosign/image")
    signature = layout.signature(image)
    layout.root(signature, kind=f"dev.cosignproject.cosign/{kind}")
    await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    tag = cosign_tag(image, ending)
    assert raw_manifest(f"{place}:{tag}") == layout.blobs[signature["digest"]]


async def test_signatures_made_since_are_not_overwritten(tmp_path: Path, place: str) -> None:
    layout = Layout()
    image = layout.root(layout.image(make_image()))
    layout.sign(image)
    later = Layout()
    later.root(later.artifact(b"signed by somebody else"))
    await push(later.write(tmp_path / "later.tar"), f"{place}:{cosign_tag(image)}")
    theirs = raw_manifest(f"{place}:{cosign_tag(image)}")
    pushed = await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    assert raw_manifest(f"{place}:{cosign_tag(image)}") == theirs
    assert cosign_tag(image) in pushed.notes[0]


async def test_referrers_of_several_pushes_are_all_listed(tmp_path: Path, place: str) -> None:
    expected = []
    for content in (b'"one"', b'"two"'):
        layout = Layout()
        image = layout.root(layout.image(make_image()), "app:1")
        expected.append(layout.root(layout.referrer(image, content))["digest"])
        # Referrers in a layout may be listed as in a registry without their API.
        await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    listed = json.loads(raw_manifest(f"{place}:{cosign_tag(image, '')}"))
    assert [entry["digest"] for entry in listed["manifests"]] == expected


async def test_a_list_of_referrers_in_the_layout_is_read(tmp_path: Path, place: str) -> None:
    layout = Layout()
    image = layout.root(layout.image(make_image()), "1")
    sbom = layout.referrer(image)
    layout.root(layout.index(sbom), cosign_tag(image, ""))
    await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    listed = json.loads(raw_manifest(f"{place}:{cosign_tag(image, '')}"))
    assert [entry["digest"] for entry in listed["manifests"]] == [sbom["digest"]]


async def test_a_companion_that_is_not_there_as_a_whole_is_left_out(
    tmp_path: Path, place: str, registry_url: str, repository: str
) -> None:
    layout = Layout()
    image = layout.root(layout.image(make_image()), "app:1")
    signature = layout.sign(image)
    del layout.blobs[layout.read(signature)["layers"][0]["digest"]]
    pushed = await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    assert pushed.digest == image["digest"]
    assert await list_tags(registry_url, repository) == ["1"]
    assert signature["digest"] in pushed.notes[0]


async def test_a_companion_index_that_lacks_something_is_left_out(
    tmp_path: Path, place: str, registry_url: str, repository: str
) -> None:
    layout = Layout()
    image = layout.root(layout.image(make_image()), "app:1")
    subject = {key: image[key] for key in ("mediaType", "digest", "size")}
    parts = [layout.artifact(content) for content in (b"held", b"missing")]
    layout.root(layout.index(*parts, subject=subject))
    del layout.blobs[parts[1]["digest"]]
    pushed = await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    assert "left out: 1" in pushed.notes[0]
    assert await list_tags(registry_url, repository) == ["1"]


@pytest.mark.parametrize("compression", ["gzip", "zstd", "keep"])
async def test_an_artifact_is_not_touched(compression: str, tmp_path: Path, place: str) -> None:
    layout = Layout()
    artifact = layout.root(layout.artifact(b"no tar at all " * 500), "sbom:1")
    await push(layout.write(tmp_path / "app.tar"), f"{place}:1", compression=compression)
    assert raw_manifest(f"{place}:1") == layout.blobs[artifact["digest"]]


# Several images


async def test_images_of_one_config_are_told_apart(tmp_path: Path, place: str) -> None:
    layout = Layout()
    packed = layout.root(layout.image(make_image()), "example/app:packed")
    plain = layout.root(layout.plain_image(make_image()), "example/app:plain")
    layout.root(packed, "example/app:again")
    path = layout.write(tmp_path / "app.tar")
    for tag, made in (("packed", packed), ("again", packed), ("plain", plain)):
        await push(path, f"{place}:{tag}", image=f"example/app:{tag}", compression="keep")
        assert raw_manifest(f"{place}:{tag}") == layout.blobs[made["digest"]]
    by_digest = await push(path, f"{place}:digest", image=plain["digest"], compression="keep")
    assert by_digest.digest == plain["digest"]
    with pytest.raises(ValidationError, match="holds 2 images"):
        await push(path, f"{place}:1")


# Layers


async def test_recompressing_keeps_what_the_manifest_says_besides(
    tmp_path: Path, place: str
) -> None:
    layout = Layout()
    image = make_image()
    layer, *_ = [layout.blob(OCI_LAYER, data, annotations={"of": "it"}) for data in image.layers]
    fields: dict[str, Any] = {
        "annotations": {"made": "here"},
        "layers": [layer, layer],
        "x-own": [1],
    }
    twice = make_image(image.layers[0], image.layers[0])
    layout.root(layout.image(twice, **fields))
    await push(layout.write(tmp_path / "app.tar"), f"{place}:1")
    document = json.loads(raw_manifest(f"{place}:1"))
    assert document["annotations"] == {"made": "here"}
    assert document["x-own"] == [1]
    assert [entry["annotations"] for entry in document["layers"]] == [{"of": "it"}] * 2
    pulled = skopeo_copy_to_dir(f"{place}:1", tmp_path / "back")
    assert [decompress(data) for data in pulled.layers] == list(twice.layers)
