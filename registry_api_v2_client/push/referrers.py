"""The list of an image's referrers, for registries that do not keep it themselves.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#unavailable-referrers-api
"""

import json
from typing import Any

from ..api.registry import Registry
from ..exceptions import ManifestUnknownError
from ..media_types import OCI_INDEX
from .manifests import BuiltManifest

_EMPTY: dict[str, Any] = {"schemaVersion": 2, "mediaType": OCI_INDEX, "manifests": []}


def subject_of(manifest: BuiltManifest) -> str | None:
    """The digest that the manifest refers to, if it does."""
    subject = json.loads(manifest.raw).get("subject")
    digest = subject.get("digest") if isinstance(subject, dict) else None
    return digest if isinstance(digest, str) else None


async def list_referrer(
    registry: Registry, repository: str, subject: str, manifest: BuiltManifest
) -> None:
    """Add the manifest to the index under the tag that is derived from the subject's digest.

    If two clients do so at once, one entry may get lost: the specification has no remedy.

    Raises:
        RegistryError: the registry failed.
    """
    tag = subject.replace(":", "-", 1)
    try:
        index = (await registry.manifests.get(repository, tag)).document()
    except ManifestUnknownError:
        index = _EMPTY
    listed = [entry for entry in index.get("manifests") or () if isinstance(entry, dict)]
    if any(entry.get("digest") == manifest.digest for entry in listed):
        return
    changed = BuiltManifest.of({**index, "manifests": [*listed, _entry(manifest)]}, OCI_INDEX)
    await registry.manifests.put(repository, tag, changed.raw, changed.media_type, changed.digest)


def _entry(manifest: BuiltManifest) -> dict[str, Any]:
    document = json.loads(manifest.raw)
    config = document.get("config")
    kind = document.get("artifactType") or (config.get("mediaType") if config else None)
    optional = {"artifactType": kind, "annotations": document.get("annotations")}
    return {**manifest.descriptor(), **{name: value for name, value in optional.items() if value}}
