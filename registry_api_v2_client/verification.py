"""Whether a registry holds the image of a tar, layer by layer.

A push compresses layers, so blobs have other digests than the layers in the tar. What stays the
same is the config, and with it the diff_ids, the digests of the uncompressed layers.
"""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from .api.manifests import Manifest
from .api.registry import Registry
from .archive.compressed_file import longest_content
from .archive.model import ArchiveContent, ArchiveImage, ArchiveIndex, Layer
from .archive.tar_index import Member
from .content_digest import ContentDigest
from .descriptors import is_sha256, sha256
from .exceptions import (
    AnswerCutShortError,
    ArchiveDigestError,
    BlobUnknownError,
    DigestMismatchError,
    ProtocolError,
    TarReadError,
)
from .json_document import MAX_JSON, JsonDocumentError, parse_json
from .media_types import Compression

_BLOCK = 1 << 20
_MOST_PLATFORMS = 100
_SHORT_DIGEST = 12
"""Hexadecimal digits, as docker shows ids."""


class Verdict(StrEnum):
    """How a part of the image in the registry compares with the tar."""

    EQUAL = "equal"
    DIFFERENT = "different"
    MISSING = "missing"
    """The registry names a blob that it does not hold."""
    CORRUPT = "corrupt"
    """The registry holds bytes that are not what their digest says."""


class Proof(StrEnum):
    """What a verdict was reached by."""

    DIGEST = "digest"
    """Digests alone, and the blob's size where it has to be there."""
    CONTENT = "content"
    """The blob was downloaded, decompressed and hashed."""


@dataclass(frozen=True, slots=True)
class PartCheck:
    """The config or a layer.

    ``tar`` is the config's digest or the layer's diff_id in the tar, ``registry`` the blob's digest
    and ``size`` its bytes there; None where one side has no such part.
    """

    part: str
    tar: str | None
    registry: str | None
    size: int | None
    verdict: Verdict
    proof: Proof


@dataclass(frozen=True, slots=True)
class Verification:
    """The manifest that was looked at, and its parts: the config, then the layers, base first."""

    digest: str
    parts: tuple[PartCheck, ...]

    @property
    def equal(self) -> bool:
        """Whether the registry holds just the image of the tar."""
        return all(part.verdict is Verdict.EQUAL for part in self.parts)


async def verify(
    registry: Registry,
    repository: str,
    reference: str,
    content: ArchiveContent,
    *,
    deep: bool = False,
) -> Verification:
    """Compare the image or index under a tag or digest with one in a tar.

    A layer is not downloaded if digests tell enough. With ``deep`` every blob is downloaded, and
    the digests in the tar are computed, too. Images of an index are found by their config. Of an
    index in the tar all images have to be there, or the one that was pushed by itself.

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
        comparison = _Comparison(registry, repository, image, deep)
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
    """Manifests that this one leads to, by the digest of their config.

    Several can share one: artifacts, such as BuildKit's attestations, have the OCI empty config.
    """
    held: dict[str, list[Manifest]] = {}
    waiting, seen = [manifest], set[str]()
    while waiting:
        entries = _entries(current := waiting.pop())
        if config := current.document().get("config"):
            held.setdefault(_Descriptor.of(config).digest, []).append(current)
        for entry in entries:
            if len(seen) < _MOST_PLATFORMS and isinstance(entry, dict):
                digest = _Descriptor.of(entry).digest
                if digest not in seen:
                    seen.add(digest)
                    waiting.append(await registry.manifests.get(repository, digest))
    return held


def _counterpart(image: ArchiveImage, held: Mapping[str, list[Manifest]]) -> Manifest | None:
    """The registry's manifest of this image.

    Of several with the same config it is the one with the same digest. A push that compresses an
    image rewrites the manifests about it, and those keep their layers.
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
    return [_Descriptor.of(layer).digest for layer in layers] if isinstance(layers, list) else []


def _label(image: ArchiveImage) -> str:
    """The image among those of its index: its platform, which an artifact has not."""
    *_, digest = image.digests
    return str(image.platform or f"artifact {digest.removeprefix('sha256:')[:_SHORT_DIGEST]}")


def _not_there(image: ArchiveImage) -> PartCheck:
    ours = image.config_digest
    return PartCheck("config", ours, None, None, Verdict.DIFFERENT, Proof.DIGEST)


@dataclass(frozen=True, slots=True)
class _Descriptor:
    digest: str
    size: int

    @classmethod
    def of(cls, document: Any) -> "_Descriptor":
        digest = document.get("digest") if isinstance(document, dict) else None
        size = document.get("size") if isinstance(document, dict) else None
        if not isinstance(digest, str) or not is_sha256(digest) or not isinstance(size, int):
            raise ProtocolError("a descriptor in the manifest has no digest and size", status=200)
        return cls(digest, size)


class _Comparison:
    def __init__(
        self, registry: Registry, repository: str, image: ArchiveImage, deep: bool
    ) -> None:
        self._registry = registry
        self._repository = repository
        self._image = image
        self._deep = deep

    async def run(self, manifest: Manifest) -> list[PartCheck]:
        document = manifest.document()
        layers = document.get("layers")
        if not isinstance(layers, list):
            raise ProtocolError(f"manifest {manifest.digest} has no list of layers", status=200)
        config = _Descriptor.of(document.get("config"))
        check, diff_ids = await self._config(config)
        checks = [check]
        pairs = itertools.zip_longest(self._image.layers, map(_Descriptor.of, layers))
        for number, (layer, descriptor) in enumerate(pairs):
            diff_id = diff_ids[number] if number < len(diff_ids) else None
            name = f"layer {number + 1}"
            checks.append(await self._layer(name, layer, descriptor, diff_id))
        return checks

    async def _config(self, config: _Descriptor) -> tuple[PartCheck, list[str]]:
        """The check of the config, and the diff_ids of the registry's."""
        ours = self._image.config_digest
        same = config.digest == ours
        if same and not self._deep:
            verdict, proof = await self._presence(config), Proof.DIGEST
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
        blob: _Descriptor | None,
        diff_id: str | None,
    ) -> PartCheck:
        stored, ours = await self._digests(layer) if layer else (None, None)
        verdict, proof = Verdict.DIFFERENT, Proof.DIGEST
        if layer and blob and not layer.member:
            # A foreign layer, which is only named on both sides.
            verdict = Verdict.EQUAL if stored == blob.digest else Verdict.DIFFERENT
        elif layer and blob:
            same = stored == blob.digest
            if self._deep or (not same and diff_id in (ours, None)):
                verdict, proof = await self._content(layer, blob, ours), Proof.CONTENT
            elif same:
                verdict = await self._presence(blob)
        return PartCheck(
            name, ours, blob.digest if blob else None, blob.size if blob else None, verdict, proof
        )

    async def _digests(self, layer: Layer) -> tuple[str | None, str | None]:
        """Of a layer as stored and as uncompressed; computed where the tar does not say."""
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

    async def _presence(self, blob: _Descriptor) -> Verdict:
        try:
            there = await self._registry.blobs.has(self._repository, blob.digest, blob.size)
        except (DigestMismatchError, ProtocolError):
            return Verdict.CORRUPT
        return Verdict.EQUAL if there else Verdict.MISSING

    async def _content(self, layer: Layer, blob: _Descriptor, ours: str | None) -> Verdict:
        plain = layer.compression is Compression.NONE
        hashed = ContentDigest(layer.size if plain else longest_content(blob.size))
        failed = await self._download(blob, hashed.update)
        if failed:
            return failed
        hashed.finish()
        if hashed.stored != blob.digest:
            return Verdict.CORRUPT
        return Verdict.EQUAL if hashed.content == ours else Verdict.DIFFERENT

    async def _download_config(self, config: _Descriptor) -> tuple[Any, Verdict]:
        content = bytearray()
        if config.size > MAX_JSON:
            raise ProtocolError(f"a config of {config.size} bytes is too large", status=200)
        failed = await self._download(config, content.extend)
        if failed:
            return None, failed
        if sha256(content) != config.digest:
            return None, Verdict.CORRUPT
        try:
            return parse_json(bytes(content)), Verdict.EQUAL
        except JsonDocumentError:
            return None, Verdict.EQUAL

    async def _download(self, blob: _Descriptor, take: Callable[[bytes], None]) -> Verdict | None:
        """Pass a blob to ``take``, off the event loop; the verdict if that says enough."""
        size = 0

        async def sink(piece: bytes) -> None:
            nonlocal size
            size += len(piece)
            if size > blob.size:
                raise _OversizedError
            await asyncio.to_thread(take, piece)

        try:
            await self._registry.blobs.read(self._repository, blob.digest, sink)
        except BlobUnknownError:
            return Verdict.MISSING
        except _OversizedError:
            return Verdict.CORRUPT
        except AnswerCutShortError:
            # A connection breaks anywhere; a blob that the registry has lost breaks off here again.
            if await self._breaks_off_at(blob) != size:
                raise
            return Verdict.CORRUPT if size else Verdict.MISSING
        return None

    async def _breaks_off_at(self, blob: _Descriptor) -> int | None:
        """How many bytes of a blob the registry has before it ends its answer; None if all."""
        size = 0

        async def sink(piece: bytes) -> None:
            nonlocal size
            size += len(piece)

        try:
            await self._registry.blobs.read(self._repository, blob.digest, sink)
        except AnswerCutShortError:
            return size
        return None


class _OversizedError(Exception):
    """More bytes come than the descriptor says."""


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
