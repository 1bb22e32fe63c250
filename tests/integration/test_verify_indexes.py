"""Indexes of a tar compared with what a registry holds."""

from pathlib import Path

import pytest

from registry_api_v2_client import Platform, RegistryClient, Verdict, Verification, parse_reference
from tests.integration.test_archive_requests import place
from tests.integration.test_archives import PLATFORMS, platform_index, push
from tests.support.layouts import Layout
from tests.support.spec_registry import SpecRegistry

pytestmark = pytest.mark.integration


async def verify(
    reference: str, path: Path, platform: str | None = None, *, deep: bool = False
) -> Verification:
    async with RegistryClient() as client:
        chosen = Platform.parse(platform) if platform else None
        return await client.verify(parse_reference(reference), path, platform=chosen, deep=deep)


async def test_every_image_of_an_index_is_compared(tmp_path: Path) -> None:
    layout = Layout()
    layout.root(platform_index(layout, plain=True))
    path = layout.write(tmp_path / "app.tar")
    async with SpecRegistry() as registry:
        pushed = await push(path, f"{place(registry)}:1")
        found = await verify(f"{place(registry)}:1", path)
        assert (found.digest, found.equal) == (pushed.digest, True)
        parts = ["config", "layer 1", "layer 2"]
        assert [part.part for part in found.parts] == [
            f"{name}: {part}" for name in PLATFORMS for part in parts
        ]
        one = await verify(f"{place(registry)}:1", path, "linux/arm64")
        assert one.equal
        assert [part.part for part in one.parts] == parts


async def test_a_platform_that_was_pushed_by_itself_is_found(tmp_path: Path) -> None:
    layout = Layout()
    layout.root(platform_index(layout))
    path = layout.write(tmp_path / "app.tar")
    async with SpecRegistry() as registry:
        await push(path, f"{place(registry)}:1", platform="linux/arm64")
        assert (await verify(f"{place(registry)}:1", path)).equal
        other = await verify(f"{place(registry)}:1", path, "linux/amd64")
        assert not other.equal


async def test_an_image_that_the_registry_lacks_is_different(tmp_path: Path) -> None:
    layout = Layout()
    index = platform_index(layout)
    layout.root(layout.index(*layout.read(index)["manifests"][:2]), "some")
    layout.root(index, "all")
    path = layout.write(tmp_path / "app.tar")
    async with SpecRegistry() as registry, RegistryClient() as client:
        await push(path, f"{place(registry)}:1", image="some")
        found = await client.verify(parse_reference(f"{place(registry)}:1"), path, image="all")
        wrong = [part.part for part in found.parts if part.verdict is not Verdict.EQUAL]
        assert wrong == ["linux/arm/v7: config"]


@pytest.mark.parametrize("deep", [False, True], ids=["digests", "deep"])
async def test_attestations_with_the_empty_config_are_told_apart(
    deep: bool, tmp_path: Path
) -> None:
    layout = Layout()
    images = layout.read(platform_index(layout))["manifests"]
    attestations = [layout.artifact_attestation(image) for image in images]
    layout.root(layout.index(*images, *attestations))
    path = layout.write(tmp_path / "app.tar")
    async with SpecRegistry() as registry:
        await push(path, f"{place(registry)}:1")
        found = await verify(f"{place(registry)}:1", path, deep=deep)
        assert [part for part in found.parts if part.verdict is not Verdict.EQUAL] == []
        assert {part.part.partition(":")[0] for part in found.parts} == {
            *PLATFORMS,
            *(f"artifact {made['digest'][7:19]}" for made in attestations),
        }


async def test_an_attestation_that_was_swapped_is_different(tmp_path: Path) -> None:
    layout = Layout()
    images = layout.read(platform_index(layout))["manifests"][:2]
    attestations = [layout.artifact_attestation(image) for image in images]
    layout.root(layout.index(*images, *attestations), "whole")
    layout.root(layout.index(*images, attestations[0]), "without")
    path = layout.write(tmp_path / "app.tar")
    async with SpecRegistry() as registry, RegistryClient() as client:
        await push(path, f"{place(registry)}:1", image="without")
        found = await client.verify(parse_reference(f"{place(registry)}:1"), path, image="whole")
        wrong = {part.part.partition(":")[0] for part in found.parts if part.verdict != "equal"}
        assert wrong == {f"artifact {attestations[1]['digest'][7:19]}"}
