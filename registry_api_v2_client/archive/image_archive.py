"""Image tars as images: config, layers, tags, and the manifest where the tar carries one.

Two descriptions may stand in a tar, and current docker writes both:

- ``manifest.json`` of docker save:
  https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
- an OCI image layout, ``index.json`` with manifests under ``blobs/``:
  https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self, TypeGuard

from ..digests import is_sha256, sha256
from ..exceptions import ArchiveDigestError, TarReadError, ValidationError
from ..json_document import MAX_JSON, JsonDocumentError, parse_json
from ..media_types import IMAGE_MANIFESTS, OCI_MANIFEST, Compression, sniff_compression
from .tar_index import Member, MemberReader, TarIndex

MAX_LAYERS = 1024
"""Layers of one image. Docker runs no more than 127; what is no image to run may have more."""

_REF_NAME = "org.opencontainers.image.ref.name"
_CONTAINERD_NAME = "io.containerd.image.name"
_BLOB_NAME = re.compile(r"blobs/(sha256)/([0-9a-f]{64})")
_CONFIG_NAME = re.compile(r"(?:blobs/sha256/|sha256:)?([0-9a-f]{64})(?:\.json)?")


@dataclass(frozen=True, slots=True)
class Layer:
    """One layer as it lies in the tar.

    ``digest`` is what the archive claims for the stored bytes and ``diff_id`` for the uncompressed
    ones; either may be unknown. Of an uncompressed layer they are the same.
    """

    member: Member
    compression: Compression
    digest: str | None
    diff_id: str | None

    @property
    def size(self) -> int:
        """Stored bytes."""
        return self.member.size


@dataclass(frozen=True, slots=True)
class CarriedManifest:
    """A manifest in the tar that describes just these bytes, so that its digest can be kept."""

    raw: bytes
    media_type: str
    document: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class ArchiveImage:
    """An image in the tar. Layers are in order, the base first; one may occur twice."""

    archive: "ImageArchive"
    tags: tuple[str, ...]
    config: bytes
    layers: tuple[Layer, ...]
    manifest: CarriedManifest | None

    @property
    def config_digest(self) -> str:
        return sha256(self.config)

    @property
    def config_document(self) -> Mapping[str, Any]:
        return _parse_object(self.config, "the image config")


class ImageArchive:
    """The images of one tar. Nothing is extracted; layers are read in place.

    Use as a context manager, or close it. Opening blocks while the tar is indexed, which for a
    compressed tar means decompressing it once.
    """

    def __init__(self, path: str | Path) -> None:
        """Open the tar and read its manifests and configs.

        Raises:
            SourceUnreadableError: missing, not a file, or not readable.
            TarReadError: not an image tar, with the part that is wrong.
        """
        self.path = Path(path)
        self._index = TarIndex(self.path)
        try:
            self.images: tuple[ArchiveImage, ...] = tuple(self._read_images())
        except BaseException:
            self._index.close()
            raise

    @property
    def compressed(self) -> bool:
        """Whether the tar is compressed as a whole; read its members one after the other then."""
        return self._index.compressed

    def select(self, tag: str | None = None) -> ArchiveImage:
        """The image with that tag, as written in the tar; without a tag, the only image.

        Raises:
            ValidationError: no such image, or several to choose from.
        """
        if tag is None:
            if len(self.images) > 1:
                raise ValidationError(
                    f"{self.path} holds {len(self.images)} images; choose one of {self._tag_list()}"
                )
            return self.images[0]
        named = {image.config: image for image in self.images if tag in image.tags}
        if not named:
            raise ValidationError(f"{self.path} holds no image {tag}; it has {self._tag_list()}")
        if len(named) > 1:
            raise ValidationError(f"{self.path} holds {len(named)} images that are all {tag}")
        return named.popitem()[1]

    def docker_manifest(self) -> list[dict[str, Any]] | None:
        """The tar's ``manifest.json``, or None in an OCI layout without one."""
        member = self._index.find("manifest.json")
        return self._docker_save_entries(member) if member else None

    def open(self, member: Member) -> MemberReader:
        """Start reading a layer's stored bytes."""
        return self._index.open(member)

    def close(self) -> None:
        self._index.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _tag_list(self) -> str:
        return ", ".join(tag for image in self.images for tag in image.tags) or "untagged images"

    def _read_images(self) -> Iterator[ArchiveImage]:
        carried = dict(self._layout_manifests())
        entries = self.docker_manifest()
        if entries:
            yield from (self._docker_save_image(entry, carried) for entry in entries)
        elif carried:
            yield from (self._layout_image(*item) for item in carried.items())
        else:
            raise TarReadError(
                f"{self.path} is no image tar: it has neither manifest.json nor an index.json "
                "with an image manifest"
            )

    # docker save

    def _docker_save_entries(self, member: Member) -> list[dict[str, Any]]:
        entries = self._parse(member)
        if not isinstance(entries, list) or not all(isinstance(e, dict) for e in entries):
            raise TarReadError(f"manifest.json in {self.path} is not a list of images")
        if not entries:
            raise TarReadError(f"manifest.json in {self.path} lists no image")
        return entries

    def _docker_save_image(
        self, entry: dict[str, Any], carried: Mapping[str, tuple[CarriedManifest, tuple[str, ...]]]
    ) -> ArchiveImage:
        config_name, layer_names, tags = (
            entry.get("Config"),
            entry.get("Layers"),
            entry.get("RepoTags"),
        )
        if not isinstance(config_name, str) or not config_name:
            raise TarReadError(f"manifest.json in {self.path} names no Config")
        if not _is_string_list(layer_names):
            raise TarReadError(f"manifest.json in {self.path}: Layers is not a list of names")
        if tags is not None and not _is_string_list(tags):
            raise TarReadError(f"manifest.json in {self.path}: RepoTags is not a list of tags")
        config = self._config(config_name)
        layers = self._layers(layer_names, config)
        manifest, _ = carried.get(sha256(config), (None, ()))
        return ArchiveImage(
            archive=self,
            tags=tuple(tags or self._legacy_tags(layer_names)),
            config=config,
            layers=layers,
            manifest=manifest if manifest and _describes(manifest, layers) else None,
        )

    def _legacy_tags(self, layer_names: list[str]) -> tuple[str, ...]:
        """Tags from ``repositories``, docker's older file: repository → tag → top layer's id."""
        member = self._index.find("repositories")
        if not member:
            return ()
        document = self._parse(member)
        top = layer_names[-1].partition("/")[0] if layer_names else ""
        if not isinstance(document, dict):
            raise TarReadError(f"repositories in {self.path} is not an object")
        return tuple(
            f"{repository}:{tag}"
            for repository, tags in document.items()
            if isinstance(tags, dict)
            for tag, layer_id in tags.items()
            if layer_id == top or len(document) == len(tags) == 1
        )

    # OCI image layout

    def _layout_manifests(self) -> Iterator[tuple[str, tuple[CarriedManifest, tuple[str, ...]]]]:
        """Image manifests named by index.json, by the digest of their config."""
        member = self._index.find("index.json")
        if not member:
            return
        index = self._parse(member)
        descriptors = index.get("manifests") if isinstance(index, dict) else None
        if not isinstance(descriptors, list):
            raise TarReadError(f"index.json in {self.path} has no list of manifests")
        tags: dict[str, list[str]] = {}
        manifests: dict[str, CarriedManifest] = {}
        for descriptor in descriptors:
            if not isinstance(descriptor, dict):
                raise TarReadError(f"index.json in {self.path}: a manifest is not an object")
            if str(descriptor.get("mediaType")) in IMAGE_MANIFESTS:
                manifest = self._carried(descriptor)
                config = manifest.document.get("config")
                digest = config.get("digest") if isinstance(config, dict) else None
                if not isinstance(digest, str):
                    raise TarReadError(f"a manifest in {self.path} names no config")
                manifests[digest] = manifest
                tags.setdefault(digest, []).extend(_layout_tags(descriptor))
        for digest, manifest in manifests.items():
            yield digest, (manifest, tuple(tags[digest]))

    def _carried(self, descriptor: Mapping[str, Any]) -> CarriedManifest:
        digest = str(descriptor.get("digest"))
        raw = self._blob(digest)
        document = _parse_object(raw, f"manifest {digest} in {self.path}")
        return CarriedManifest(raw, document.get("mediaType") or OCI_MANIFEST, document)

    def _layout_image(
        self, config_digest: str, carried: tuple[CarriedManifest, tuple[str, ...]]
    ) -> ArchiveImage:
        manifest, tags = carried
        descriptors = manifest.document.get("layers")
        if not isinstance(descriptors, list) or not all(isinstance(d, dict) for d in descriptors):
            raise TarReadError(f"a manifest in {self.path} has no list of layers")
        config = self._blob(config_digest)
        names = [_blob_path(str(descriptor.get("digest"))) for descriptor in descriptors]
        layers = self._layers(names, config)
        return ArchiveImage(self, tags, config, layers, manifest)

    # parts

    def _config(self, name: str) -> bytes:
        content = self._index.read(self._member(name, "config"), MAX_JSON)
        _parse_object(content, f"config {name} in {self.path}")
        claim = _CONFIG_NAME.fullmatch(name)
        if claim and sha256(content) != f"sha256:{claim[1]}":
            raise ArchiveDigestError(f"config {name} in {self.path} has digest {sha256(content)}")
        return content

    def _layers(self, names: list[str], config: bytes) -> tuple[Layer, ...]:
        if len(names) > MAX_LAYERS:
            raise TarReadError(f"an image in {self.path} has more than {MAX_LAYERS} layers")
        rootfs = _parse_object(config, "the image config").get("rootfs")
        diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not diff_ids:
            return tuple(self._layer(name, None) for name in names)
        if not _is_string_list(diff_ids) or len(diff_ids) != len(names):
            raise TarReadError(
                f"{self.path}: the config's rootfs.diff_ids do not match its {len(names)} layers"
            )
        # They end up in URLs, so they had better be digests.
        if wrong := [diff_id for diff_id in diff_ids if not is_sha256(diff_id)]:
            raise TarReadError(f"{self.path}: diff_id {wrong[0]!r} is not a sha256:… digest")
        return tuple(map(self._layer, names, diff_ids))

    def _layer(self, name: str, diff_id: str | None) -> Layer:
        member = self._member(name, "layer")
        claim = _BLOB_NAME.fullmatch(name)
        digest = f"{claim[1]}:{claim[2]}" if claim else None
        compression = sniff_compression(member.head)
        if compression is Compression.NONE:
            if digest and diff_id and digest != diff_id:
                raise ArchiveDigestError(
                    f"layer {name} in {self.path} is uncompressed, but its diff_id is {diff_id}"
                )
            digest = diff_id = digest or diff_id
        return Layer(member, compression, digest, diff_id)

    def _member(self, name: str, what: str) -> Member:
        member = self._index.find(name)
        if not member:
            raise TarReadError(f"{what} {name} is missing from {self.path}")
        return member

    def _blob(self, digest: str) -> bytes:
        content = self._index.read(self._member(_blob_path(digest), "blob"), MAX_JSON)
        if sha256(content) != digest:
            raise ArchiveDigestError(f"blob {digest} in {self.path} has digest {sha256(content)}")
        return content

    def _parse(self, member: Member) -> Any:
        return _parse_json(self._index.read(member, MAX_JSON), f"{member.name} in {self.path}")


def _describes(manifest: CarriedManifest, layers: tuple[Layer, ...]) -> bool:
    named = manifest.document.get("layers")
    return isinstance(named, list) and [
        descriptor.get("digest") for descriptor in named if isinstance(descriptor, dict)
    ] == [layer.digest for layer in layers]


def _layout_tags(descriptor: Mapping[str, Any]) -> list[str]:
    """Tags of a manifest in an OCI layout."""
    annotations = descriptor.get("annotations")
    if not isinstance(annotations, dict):
        return []
    name = annotations.get(_CONTAINERD_NAME) or annotations.get(_REF_NAME)
    return [name] if isinstance(name, str) and name else []


def _blob_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/', 1)}"


def _is_string_list(value: object) -> TypeGuard[list[str]]:
    return isinstance(value, list) and all(isinstance(item, str) for item in value)


def _parse_object(content: bytes, what: str) -> dict[str, Any]:
    document = _parse_json(content, what)
    if not isinstance(document, dict):
        raise TarReadError(f"{what} is not a JSON object")
    return document


def _parse_json(content: bytes, what: str) -> Any:
    try:
        return parse_json(content)
    except JsonDocumentError as error:
        raise TarReadError(f"{what} {error}") from error
