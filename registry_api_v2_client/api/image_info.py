"""An image in a registry as one document: its manifest, its config, and what follows from them."""

from typing import Any

from ..descriptors import is_sha256
from ..exceptions import ValidationError
from ..platforms import Platform
from ..reference import named
from .manifests import Manifest
from .registry import Registry


async def read_image_info(registry: Registry, repository: str, tag: str) -> dict[str, Any]:
    """See ``get_image_info``, which says what is in it.

    Raises:
        ManifestUnknownError: there is no such image.
        ValidationError: the tag names neither an image nor an index with one.
    """
    manifest = await registry.manifests.get(repository, tag)
    entries = _platform_entries(manifest)
    if entries:
        chosen = entries.get(Platform.of_this_machine()) or next(iter(entries.values()))
        manifest = await registry.manifests.get(repository, chosen)
    document = with_digest(manifest)
    descriptor, layers = document.get("config"), document.get("layers")
    if not isinstance(descriptor, dict) or not isinstance(layers, list):
        kind = document.get("mediaType")
        raise ValidationError(f"{named(repository, tag)} is not an image but {kind}")
    config = await registry.blobs.json(repository, str(descriptor.get("digest")))
    sizes = (part.get("size") for part in (descriptor, *layers) if isinstance(part, dict))
    size = sum(size for size in sizes if isinstance(size, int))
    return {
        "repository": repository,
        "tag": tag,
        "digest": document["digest"],
        "architecture": config.get("architecture"),
        "os": config.get("os"),
        "created": config.get("created"),
        "size": size,
        "total_size": size,
        "layers": layers,
        "layer_count": len(layers),
        "config": config,
        "manifest": document,
        "platforms": [str(platform) for platform in entries],
    }


def with_digest(manifest: Manifest) -> dict[str, Any]:
    """The document of a manifest, with its ``digest`` added."""
    return {**manifest.document(), "digest": manifest.digest}


def _platform_entries(manifest: Manifest) -> dict[Platform, str]:
    """The digests of an index's images by their platforms; empty if it is not an index."""
    entries = manifest.document().get("manifests")
    found: dict[Platform, str] = {}
    for entry in entries if isinstance(entries, list) else ():
        named = entry.get("platform") if isinstance(entry, dict) else None
        platform = Platform.of(named) if isinstance(named, dict) else None
        if platform and platform.known and is_sha256(str(entry.get("digest"))):
            found.setdefault(platform, entry["digest"])
    return found
