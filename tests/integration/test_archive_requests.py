"""The requests of a push for archives that hold more than one image."""

from pathlib import Path
from typing import Any

import pytest

from registry_api_v2_client import RegistryClient, parse_reference
from registry_api_v2_client.media_types import DOCKER, OCI, Compression
from tests.integration.test_archives import platform_index, push
from tests.support.images import (
    APP_LAYER,
    BASE_LAYER,
    Member,
    gzip_bytes,
    make_image,
    sha256_digest,
    tar_bytes,
    to_json,
)
from tests.support.layouts import Layout, cosign_tag
from tests.support.spec_registry import SpecRegistry

pytestmark = pytest.mark.integration


def manifest_puts(registry: SpecRegistry) -> list[str]:
    """The references that manifests were put under, in the order of their first PUT."""
    return [
        path.rpartition("/")[2]
        for verb, path in registry.requests
        if verb == "PUT" and "/manifests/" in path
    ]


def place(registry: SpecRegistry) -> str:
    return f"{registry.host}/app"


async def test_signatures_are_there_before_the_tag(tmp_path: Path) -> None:
    layout = Layout()
    index = layout.root(platform_index(layout), "app:1")
    signature = layout.sign(index)
    sbom = layout.root(layout.referrer(index))
    async with SpecRegistry(referrers=True) as registry:
        await push(layout.write(tmp_path / "app.tar"), f"{place(registry)}:1")
        children = [entry["digest"] for entry in layout.read(index)["manifests"]]
        assert manifest_puts(registry) == [
            *children,
            index["digest"],
            signature["digest"],
            sbom["digest"],
            cosign_tag(index),
            "1",
        ]


async def test_a_second_push_asks_once_a_manifest_and_writes_the_tag_alone(tmp_path: Path) -> None:
    layout = Layout()
    index = layout.root(platform_index(layout), "app:1")
    signature = layout.sign(index)
    path = layout.write(tmp_path / "app.tar")
    async with SpecRegistry() as registry:
        await push(path, f"{place(registry)}:1")
        registry.requests.clear()
        await push(path, f"{place(registry)}:2")
        manifests = "/v2/app/manifests"
        assert registry.requests == {
            ("HEAD", f"{manifests}/{index['digest']}"): 1,
            ("HEAD", f"{manifests}/{signature['digest']}"): 1,
            ("HEAD", f"{manifests}/{cosign_tag(index)}"): 1,
            # Before the tag is written, and after.
            ("GET", f"{manifests}/2"): 2,
            ("PUT", f"{manifests}/2"): 1,
        }


async def test_layers_that_platforms_share_are_sent_once(tmp_path: Path) -> None:
    layout = Layout()
    index = layout.root(platform_index(layout, plain=True))
    async with SpecRegistry() as registry:
        await push(layout.write(tmp_path / "app.tar"), f"{place(registry)}:1")
        platforms = len(layout.read(index)["manifests"])
        # One layer for all, and a layer and a config for each.
        assert len(registry.repositories["app"].blobs) == 1 + 2 * platforms
        assert registry.requests["POST", "/v2/app/blobs/uploads/"] == 1 + 2 * platforms


async def test_a_registry_that_lists_referrers_needs_no_tag_for_them(tmp_path: Path) -> None:
    layout = Layout()
    layout.root(layout.referrer(layout.root(layout.image(make_image()), "app:1")))
    async with SpecRegistry(referrers=True) as registry:
        await push(layout.write(tmp_path / "app.tar"), f"{place(registry)}:1")
        assert list(registry.repositories["app"].tags) == ["1"]


# Foreign layers

URLS = ["https://example.com/layer"]


def foreign(family: Any, data: bytes) -> dict[str, Any]:
    (media_type,) = [t for c, t in family.foreign.items() if c == "gzip"]
    return {
        "mediaType": media_type,
        "digest": sha256_digest(data),
        "size": len(data),
        "urls": URLS,
    }


@pytest.mark.parametrize("held", [True, False])
async def test_a_foreign_layer_of_a_layout_is_named_and_not_sent(
    held: bool, tmp_path: Path
) -> None:
    layout, base = Layout(), gzip_bytes(BASE_LAYER)
    own = layout.blob(OCI.layers[Compression.GZIP], gzip_bytes(APP_LAYER))
    image = layout.root(layout.image(make_image(), layers=[foreign(OCI, base), own]))
    if not held:
        layout.blobs.pop(sha256_digest(base))
    async with SpecRegistry() as registry:
        pushed = await push(layout.write(tmp_path / "app.tar"), f"{place(registry)}:1")
        assert pushed.digest == image["digest"]
        assert sha256_digest(base) not in registry.repositories["app"].blobs


@pytest.mark.parametrize(("compression", "family"), [("gzip", DOCKER), ("zstd", OCI)])
async def test_a_foreign_layer_of_docker_save_is_named_and_not_sent(
    compression: str, family: Any, tmp_path: Path
) -> None:
    base, image = gzip_bytes(BASE_LAYER), make_image()
    entry = {
        "Config": "config.json",
        "RepoTags": None,
        "Layers": ["base/layer.tar", "app/layer.tar"],
        "LayerSources": {sha256_digest(BASE_LAYER): foreign(DOCKER, base)},
    }
    members = [
        Member("manifest.json", to_json([entry])),
        Member("config.json", image.config),
        Member("app/layer.tar", APP_LAYER),
    ]
    path = tmp_path / "windows.tar"
    path.write_bytes(tar_bytes(members))
    async with SpecRegistry() as registry:
        await push(path, f"{place(registry)}:1", compression=compression)
        named, own = registry.manifest("app", "1")["layers"]
        assert named == foreign(family, base)
        assert own["mediaType"] == family.layers[compression]
        assert own["digest"] in registry.repositories["app"].blobs


async def test_a_foreign_layer_without_urls_is_sent(tmp_path: Path) -> None:
    layout, base = Layout(), gzip_bytes(BASE_LAYER)
    descriptor = foreign(OCI, base)
    del descriptor["urls"]
    layout.blobs[descriptor["digest"]] = base
    image = layout.root(layout.image(make_image(BASE_LAYER), layers=[descriptor]))
    async with SpecRegistry() as registry:
        pushed = await push(layout.write(tmp_path / "app.tar"), f"{place(registry)}:1")
        assert pushed.digest == image["digest"]
        assert registry.repositories["app"].blobs[descriptor["digest"]] == base


# Several registries


async def test_every_target_gets_the_index(tmp_path: Path) -> None:
    layout = Layout()
    index = layout.root(platform_index(layout, plain=True))
    path = layout.write(tmp_path / "app.tar")
    async with SpecRegistry() as one, SpecRegistry() as two, RegistryClient() as client:
        references = [parse_reference(f"{place(registry)}:1") for registry in (one, two)]
        pushed = await client.push(path, references)
        assert one.repositories["app"].tags == two.repositories["app"].tags == {"1": pushed.digest}
        assert one.repositories["app"].manifests == two.repositories["app"].manifests
        assert pushed.digest != index["digest"]
