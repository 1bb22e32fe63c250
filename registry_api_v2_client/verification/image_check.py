"""One image of a tar and its counterpart in a registry: config and layers."""

import asyncio
import itertools
from collections.abc import Mapping
from typing import Any

from ..api.manifests import Manifest
from ..api.registry import Registry
from ..archive.compressed_file import longest_content
from ..archive.files import Member
from ..archive.model import ArchiveImage, Layer
from ..content_digest import ContentDigest
from ..descriptors import sha256
from ..exceptions import ArchiveDigestError, ProtocolError, TarReadError
from ..json_document import MAX_JSON, JsonDocumentError, parse_json
from ..media_types import Compression
from .results import PartCheck, Proof, Verdict
from .stored_blobs import Descriptor, StoredBlobs

_BLOCK = 1 << 20


class ImageCheck:
    """Compares one image of the tar with a manifest in ``repository``, part by part."""

    def __init__(
        self, registry: Registry, repository: str, image: ArchiveImage, deep: bool
    ) -> None:
        self._blobs = StoredBlobs(registry, repository)
        self._image = image
        self._deep = deep

    async def run(self, manifest: Manifest) -> list[PartCheck]:
        document = manifest.document()
        layers = document.get("layers")
        if not isinstance(layers, list):
            raise ProtocolError(f"manifest {manifest.digest} has no list of layers", status=200)
        config = Descriptor.of(document.get("config"))
        check, diff_ids = await self._config(config)
        checks = [check]
        pairs = itertools.zip_longest(self._image.layers, map(Descriptor.of, layers))
        for number, (layer, descriptor) in enumerate(pairs):
            diff_id = diff_ids[number] if number < len(diff_ids) else None
            name = f"layer {number + 1}"
            checks.append(await self._layer(name, layer, descriptor, diff_id))
        return checks

    async def _config(self, config: Descriptor) -> tuple[PartCheck, list[str]]:
        """The check of the config, and the diff_ids in the registry's config."""
        ours = self._image.config_digest
        same = config.digest == ours
        if same and not self._deep:
            verdict, proof = await self._blobs.presence(config), Proof.DIGEST
            diff_ids = _diff_ids(self._image.config_document)
        else:
            content, verdict = await self._download_config(config)
            proof = Proof.CONTENT
            diff_ids = _diff_ids(content)
            if verdict is Verdict.EQUAL and not same:
                verdict = Verdict.DIFFERENT
        return PartCheck("config", ours, config.digest, config.size, verdict, proof), diff_ids

    async def _layer(
        self,
        name: str,
        layer: Layer | None,
        blob: Descriptor | None,
        diff_id: str | None,
    ) -> PartCheck:
        stored, ours = await self._digests(layer) if layer else (None, None)
        verdict, proof = Verdict.DIFFERENT, Proof.DIGEST
        if layer and blob and not layer.member:
            # A foreign layer: both sides only name it.
            verdict = Verdict.EQUAL if stored == blob.digest else Verdict.DIFFERENT
        elif layer and blob:
            same = stored == blob.digest
            if self._deep or (not same and diff_id in (ours, None)):
                verdict, proof = await self._content(layer, blob, ours), Proof.CONTENT
            elif same:
                verdict = await self._blobs.presence(blob)
        return PartCheck(
            name, ours, blob.digest if blob else None, blob.size if blob else None, verdict, proof
        )

    async def _digests(self, layer: Layer) -> tuple[str | None, str | None]:
        """Digests of a layer as stored and uncompressed, computed if the tar does not say."""
        if not layer.member:
            return layer.digest, layer.diff_id
        if layer.digest and layer.diff_id and not self._deep:
            return layer.digest, layer.diff_id
        hashed = await asyncio.to_thread(_hash_layer, self._image, layer, layer.member)
        for stated, actual in ((layer.digest, hashed.stored), (layer.diff_id, hashed.content)):
            if stated and stated != actual:
                raise ArchiveDigestError(
                    f"{layer.member.name} in {self._image.tar.path} has digest {actual}, "
                    f"but the archive says {stated}"
                )
        return hashed.stored, hashed.content

    async def _content(self, layer: Layer, blob: Descriptor, ours: str | None) -> Verdict:
        plain = layer.compression is Compression.NONE
        hashed = ContentDigest(layer.size if plain else longest_content(blob.size))
        failed = await self._blobs.download(blob, hashed.update)
        if failed:
            return failed
        hashed.finish()
        if hashed.stored != blob.digest:
            return Verdict.CORRUPT
        return Verdict.EQUAL if hashed.content == ours else Verdict.DIFFERENT

    async def _download_config(self, config: Descriptor) -> tuple[Any, Verdict]:
        content = bytearray()
        if config.size > MAX_JSON:
            raise ProtocolError(f"a config of {config.size} bytes is too large", status=200)
        failed = await self._blobs.download(config, content.extend)
        if failed:
            return None, failed
        if sha256(content) != config.digest:
            return None, Verdict.CORRUPT
        try:
            return parse_json(bytes(content)), Verdict.EQUAL
        except JsonDocumentError:
            return None, Verdict.EQUAL


def _diff_ids(config: Any) -> list[str]:
    rootfs = config.get("rootfs") if isinstance(config, Mapping) else None
    diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, Mapping) else None
    return diff_ids if isinstance(diff_ids, list) else []


def _hash_layer(image: ArchiveImage, layer: Layer, member: Member) -> ContentDigest:
    plain = layer.compression is Compression.NONE
    hashed = ContentDigest(layer.size if plain else longest_content(layer.size))
    buffer = bytearray(_BLOCK)
    with image.tar.open(member) as reader, memoryview(buffer) as view:
        while count := reader.readinto(view):
            hashed.update(bytes(view[:count]))
    hashed.finish()
    if hashed.broken:
        raise TarReadError(f"{member.name} in {image.tar.path}: {hashed.broken}")
    return hashed
