"""An OCI image layout: ``index.json``, and the manifests and indexes that it leads to.

Source: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeGuard

from ..exceptions import TarReadError
from ..media_types import (
    FOREIGN_LAYERS,
    IMAGE_CONFIGS,
    IMAGE_INDEXES,
    IMAGE_LAYERS,
    IMAGE_MANIFESTS,
    OCI_INDEX,
    OCI_MANIFEST,
)
from ..platforms import Platform
from .contents import ArchiveContents, blob_path
from .documents import is_object_list, parse_object
from .model import (
    ArchiveContent,
    ArchiveImage,
    ArchiveIndex,
    CarriedManifest,
    Companion,
    IndexEntry,
    Layer,
    LostCompanion,
)

MAX_DEPTH = 4
"""Levels of indexes. Most tools write one below index.json, regctl's artifacts have two."""

MAX_IMAGES = 100_000
"""The most images that the indexes of an archive may lead to, counted for each index."""

_REF_NAME = "org.opencontainers.image.ref.name"
_CONTAINERD_NAME = "io.containerd.image.name"
_COMPANION_TAG = re.compile(r"(?:.*:)?(sha256-([0-9a-f]{64})(?:\.(?:sig|att|sbom))?)")
# What `cosign save` writes: https://github.com/sigstore/cosign/blob/main/pkg/oci/layout/index.go
_COSIGN_KIND = "kind"
_COSIGN_ENDINGS = {
    "dev.cosignproject.cosign/sigs": "sig",
    "dev.cosignproject.cosign/atts": "att",
    "dev.cosignproject.cosign/sboms": "sbom",
}

Descriptor = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OciLayout:
    """What ``index.json`` leads to."""

    contents: tuple[ArchiveContent, ...] = ()
    companions: tuple[Companion, ...] = ()
    lost: tuple[LostCompanion, ...] = ()


def read_layout(contents: ArchiveContents) -> OciLayout:
    """The layout in a tar; empty if the tar has no ``index.json``.

    Raises:
        TarReadError: it is malformed, or a part of an image is missing.
    """
    document = contents.document("index.json")
    if document is None:
        return OciLayout()
    descriptors = document.get("manifests") if isinstance(document, dict) else None
    if not is_object_list(descriptors):
        raise TarReadError(f"index.json in {contents.path} has no list of manifests")
    reader = _ManifestReader(contents)
    if _is_itself_the_image(descriptors):
        raw = contents.read("index.json", "index")
        carried = CarriedManifest(raw, OCI_INDEX, document)
        return OciLayout((reader.index(carried, depth=0),))
    return _LayoutReader(reader, contents, descriptors).layout()


def _is_itself_the_image(descriptors: Sequence[Descriptor]) -> bool:
    """Whether index.json is an image index: several platforms, and no image has a name.

    Tools that write one image at a time do so, such as bazel's; crane pushes such a layout whole.
    """
    platforms = [Platform.of(d["platform"]) for d in descriptors if _is_object(d.get("platform"))]
    known = {platform for platform in platforms if platform and platform.known}
    named = any(_names(descriptor) for descriptor in descriptors)
    return not named and len(platforms) == len(descriptors) and len(known) > 1


class _LayoutReader:
    """Separates the images in ``index.json`` from manifests that are about them."""

    def __init__(
        self,
        reader: "_ManifestReader",
        contents: ArchiveContents,
        descriptors: Sequence[Descriptor],
    ) -> None:
        self._reader = reader
        self._contents = contents
        self._roots: dict[str, Descriptor] = {}
        self._tags: dict[str, dict[str, None]] = {}
        for descriptor in descriptors:
            if str(descriptor.get("mediaType")) in IMAGE_MANIFESTS | IMAGE_INDEXES:
                digest = str(descriptor.get("digest"))
                self._roots.setdefault(digest, descriptor)
                self._tags.setdefault(digest, {}).update(dict.fromkeys(_names(descriptor)))
        self._known = reader.reachable(self._roots.values())
        self._images = [root for root, named in self._roots.items() if not _cosign_ending(named)]
        self._by_tag: dict[str, set[str]] = {}
        for root in self._images:
            for tag in self._tags[root]:
                self._by_tag.setdefault(tag, set()).add(root)

    def layout(self) -> OciLayout:
        about = {digest: self._subject(digest) for digest in self._roots}
        images = tuple(
            replace(self._reader.content(self._roots[digest]), tags=tuple(self._tags[digest]))
            for digest, subject in about.items()
            if not subject
        )
        companions: list[Companion] = []
        lost: list[LostCompanion] = []
        for digest, subject in about.items():
            if subject:
                try:
                    companions += self._companions(self._roots[digest], *subject)
                except TarReadError as error:
                    lost.append(LostCompanion(subject[0], f"{digest} was left out: {error}"))
        return OciLayout(images, tuple(companions), tuple(lost))

    def _companions(self, root: Descriptor, subject: str, tag: str | None) -> Iterator[Companion]:
        content = self._reader.content(root)
        if tag and isinstance(content, ArchiveIndex):
            # The list of an image's referrers. It is rebuilt for registries that need one.
            held = (entry.content for entry in content.entries if entry.content)
            yield from (Companion(subject, None, referrer) for referrer in held)
        else:
            yield Companion(subject, tag, content)

    def _subject(self, digest: str) -> tuple[str, str | None] | None:
        """The subject of a root, and the tag that says so; None if the root is an image."""
        return (
            self._subject_by_tag(digest)
            or self._subject_by_kind(digest)
            or self._subject_by_field(digest)
        )

    def _subject_by_tag(self, digest: str) -> tuple[str, str] | None:
        for name in self._tags[digest]:
            tag = _COMPANION_TAG.fullmatch(name)
            if tag and f"sha256:{tag[2]}" in self._known:
                return f"sha256:{tag[2]}", tag[1]
        return None

    def _subject_by_kind(self, digest: str) -> tuple[str, str] | None:
        ending = _cosign_ending(self._roots[digest])
        if not ending:
            return None
        namesakes = [root for tag in self._tags[digest] for root in self._by_tag.get(tag, ())]
        others = namesakes or self._images
        if len(others) != 1:
            return None
        return others[0], f"{others[0].replace(':', '-')}.{ending}"

    def _subject_by_field(self, digest: str) -> tuple[str, None] | None:
        subject = self._reader.carried(self._roots[digest]).document.get("subject")
        named = subject.get("digest") if isinstance(subject, dict) else None
        return (named, None) if named in self._known and named != digest else None


class _ManifestReader:
    """Reads manifests and what they name, each once."""

    def __init__(self, contents: ArchiveContents) -> None:
        self._contents = contents
        self._carried: dict[str, CarriedManifest] = {}
        self._read: dict[str, ArchiveContent] = {}
        self._led_to = 0

    def carried(self, descriptor: Descriptor) -> CarriedManifest:
        digest = str(descriptor.get("digest"))
        if digest not in self._carried:
            raw = self._contents.blob(descriptor, "manifest")
            document = parse_object(raw, f"manifest {digest} in {self._contents.path}")
            media_type = document.get("mediaType") or descriptor.get("mediaType") or OCI_MANIFEST
            self._carried[digest] = CarriedManifest(raw, str(media_type), document)
        return self._carried[digest]

    def reachable(self, descriptors: Iterable[Descriptor]) -> set[str]:
        """Digests of these manifests, and of all that indexes among them lead to."""
        found: set[str] = set()
        waiting = list(descriptors)
        while waiting:
            descriptor = waiting.pop()
            digest = str(descriptor.get("digest"))
            if digest in found:
                continue
            found.add(digest)
            if str(descriptor.get("mediaType")) in IMAGE_INDEXES and self._contents.holds(digest):
                waiting += self._descriptors(self.carried(descriptor), "manifests")
        return found

    def content(self, descriptor: Descriptor, depth: int = 0) -> ArchiveContent:
        """The image or index that a descriptor describes, with all that it names.

        Raises:
            TarReadError: it is neither, or a part of it is missing.
        """
        digest = str(descriptor.get("digest"))
        if digest not in self._read:
            self._read[digest] = self._content(self.carried(descriptor), depth)
        return self._read[digest]

    def index(self, carried: CarriedManifest, depth: int) -> ArchiveIndex:
        """An index. The archive may hold only some of the platforms that it names."""
        if depth > MAX_DEPTH:
            raise TarReadError(f"{self._contents.path} nests indexes more than {MAX_DEPTH} deep")
        entries = tuple(
            IndexEntry(descriptor, self._child(descriptor, depth + 1))
            for descriptor in self._descriptors(carried, "manifests")
        )
        children = {id(entry.content): entry.content for entry in entries if entry.content}
        self._led_to += sum(len(child.images) for child in children.values())
        if self._led_to > MAX_IMAGES:
            raise TarReadError(
                f"the indexes in {self._contents.path} lead to more than {MAX_IMAGES} images"
            )
        images = {id(image): image for child in children.values() for image in child.images}
        complete = all(
            isinstance(entry.content, ArchiveImage) or (entry.content and entry.content.complete)
            for entry in entries
        )
        return ArchiveIndex(
            self._contents.tar, (), carried, entries, tuple(images.values()), bool(complete)
        )

    def _child(self, descriptor: Descriptor, depth: int) -> ArchiveContent | None:
        held = self._contents.holds(str(descriptor.get("digest")))
        return self.content(descriptor, depth) if held else None

    def _content(self, carried: CarriedManifest, depth: int) -> ArchiveContent:
        if carried.media_type in IMAGE_INDEXES:
            return self.index(carried, depth)
        if carried.media_type in IMAGE_MANIFESTS:
            return self._image(carried)
        raise TarReadError(
            f"manifest {carried.digest} in {self._contents.path} is {carried.media_type}, neither "
            "an image manifest nor an index; convert the image with a current tool"
        )

    def _image(self, carried: CarriedManifest) -> ArchiveImage:
        described = carried.document.get("config")
        if not _is_object(described):
            raise TarReadError(
                f"manifest {carried.digest} in {self._contents.path} names no config"
            )
        config = self._contents.blob(described, "config")
        descriptors = self._descriptors(carried, "layers")
        self._contents.check_layers(len(descriptors))
        is_image = str(described.get("mediaType")) in IMAGE_CONFIGS
        diff_ids: Sequence[str | None] = [None] * len(descriptors)
        if is_image:
            diff_ids = self._contents.diff_ids(config, len(descriptors))
        layers = (
            self._layer(descriptor, diff_id, is_image)
            for descriptor, diff_id in zip(descriptors, diff_ids, strict=True)
        )
        return ArchiveImage(self._contents.tar, (), config, tuple(layers), carried)

    def _layer(self, descriptor: Descriptor, diff_id: str | None, is_image: bool) -> Layer:
        digest, media_type = str(descriptor.get("digest")), str(descriptor.get("mediaType"))
        name = blob_path(digest, self._contents.path)
        if media_type in FOREIGN_LAYERS and descriptor.get("urls"):
            compression = FOREIGN_LAYERS[media_type]
            return Layer(None, compression, digest, diff_id, descriptor, is_tar=False)
        return self._contents.layer(
            name,
            digest=digest,
            diff_id=diff_id,
            descriptor=descriptor,
            is_tar=is_image and media_type in IMAGE_LAYERS,
        )

    def _descriptors(self, carried: CarriedManifest, field: str) -> list[dict[str, Any]]:
        descriptors = carried.document.get(field)
        if descriptors is None and field in carried.document:
            return []  # how Go writes an empty list
        if not is_object_list(descriptors):
            raise TarReadError(
                f"manifest {carried.digest} in {self._contents.path} has no list of {field}"
            )
        return descriptors


def _names(descriptor: Descriptor) -> list[str]:
    """Names of a manifest in a layout: containerd's full name, or else what may be only a tag."""
    annotations = descriptor.get("annotations")
    if not _is_object(annotations):
        return []
    name = annotations.get(_CONTAINERD_NAME) or annotations.get(_REF_NAME)
    return [name] if isinstance(name, str) and name else []


def _cosign_ending(descriptor: Descriptor) -> str | None:
    annotations = descriptor.get("annotations")
    kind = annotations.get(_COSIGN_KIND) if _is_object(annotations) else None
    return _COSIGN_ENDINGS.get(str(kind))


def _is_object(value: object) -> TypeGuard[dict[str, Any]]:
    return isinstance(value, dict)
