"""Whether a registry holds the image of a tar, layer by layer.

A push compresses layers, so blobs have other digests than the layers in the tar. What stays the
same is the config, and with it the diff_ids, the digests of the uncompressed layers.
"""

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from ..api.manifests import Manifest
from ..api.registry import Registry
from ..archive.model import ArchiveContent, ArchiveImage, ArchiveIndex
from .image_check import ImageCheck
from .results import PartCheck, Proof, Verdict, Verification
from .stored_blobs import Descriptor

_MOST_PLATFORMS = 100
_SHORT_DIGEST = 12
"""Hexadecimal digits, as docker shows ids."""


async def verify(
    registry: Registry,
    repository: str,
    reference: str,
    content: ArchiveContent,
    *,
    deep: bool = False,
) -> Verification:
    """Compare the image or index under a tag or digest with one in a tar.

    A layer is not downloaded if digests prove enough. With ``deep`` every blob is downloaded, and
    the digests in the tar are computed, too. Images of an index are found by their config. If the
    tar has an index, the registry must have all of its images, or the one that was pushed by
    itself.

    Raises:
        ManifestUnknownError: the registry has no such image.
        TarReadError: the tar is broken, or not what its digests say.
        RegistryError: the registry failed.
    """
    manifest = await registry.manifests.get(repository, reference)
    held = await _held_images(registry, repository, manifest)
    images = content.images
    if isinstance(content, ArchiveIndex) and not _entries(manifest):
        images = tuple(image for image in images if _counterpart(image, held)) or images[:1]
    parts: list[PartCheck] = []
    for image in images:
        comparison = ImageCheck(registry, repository, image, deep)
        found = _counterpart(image, held) or (None if _entries(manifest) else manifest)
        checks = await comparison.run(found) if found else [_not_there(image)]
        if len(images) == 1:
            return Verification((found or manifest).digest, tuple(checks))
        parts += (replace(check, part=f"{_label(image)}: {check.part}") for check in checks)
    return Verification(manifest.digest, tuple(parts))


def _entries(manifest: Manifest) -> list[Any]:
    entries = manifest.document().get("manifests")
    return entries if isinstance(entries, list) else []


async def _held_images(
    registry: Registry, repository: str, manifest: Manifest
) -> dict[str, list[Manifest]]:
    """Manifests to which this one leads, by the digest of their config.

    Several can share a config: artifacts, such as BuildKit's attestations, have the OCI empty one.
    """
    held: dict[str, list[Manifest]] = {}
    waiting, seen = [manifest], set[str]()
    while waiting:
        entries = _entries(current := waiting.pop())
        if config := current.document().get("config"):
            held.setdefault(Descriptor.of(config).digest, []).append(current)
        for entry in entries:
            if len(seen) < _MOST_PLATFORMS and isinstance(entry, dict):
                digest = Descriptor.of(entry).digest
                if digest not in seen:
                    seen.add(digest)
                    waiting.append(await registry.manifests.get(repository, digest))
    return held


def _counterpart(image: ArchiveImage, held: Mapping[str, list[Manifest]]) -> Manifest | None:
    """The registry's manifest of this image.

    If several have its config, it is the one with its digest, or else the one with its layers: a
    push that compresses an image rewrites the manifests about it, but not their layers.
    """
    candidates = held.get(image.config_digest, [])
    digest = image.manifest.digest if image.manifest else None
    blobs = [layer.digest for layer in image.layers]
    return next(
        itertools.chain(
            (manifest for manifest in candidates if manifest.digest == digest),
            (manifest for manifest in candidates if _layer_digests(manifest) == blobs),
            candidates,
        ),
        None,
    )


def _layer_digests(manifest: Manifest) -> list[str]:
    layers = manifest.document().get("layers")
    return [Descriptor.of(layer).digest for layer in layers] if isinstance(layers, list) else []


def _label(image: ArchiveImage) -> str:
    """What distinguishes the image from others of its index: its platform, if it has one."""
    *_, digest = image.digests
    return str(image.platform or f"artifact {digest.removeprefix('sha256:')[:_SHORT_DIGEST]}")


def _not_there(image: ArchiveImage) -> PartCheck:
    ours = image.config_digest
    return PartCheck("config", ours, None, None, Verdict.DIFFERENT, Proof.DIGEST)
