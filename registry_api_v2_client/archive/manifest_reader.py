"""The manifests and indexes of an OCI image layout, with what they name."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from ..exceptions import TarReadError
from ..media_types import (
    FOREIGN_LAYERS,
    IMAGE_CONFIGS,
    IMAGE_INDEXES,
    IMAGE_LAYERS,
    IMAGE_MANIFESTS,
    OCI_MANIFEST,
)
from .contents import ArchiveContents, blob_path
from .documents import is_object, is_object_list, parse_object
from .model import ArchiveContent, ArchiveImage, ArchiveIndex, CarriedManifest, IndexEntry, Layer

MAX_DEPTH = 4
"""Levels of indexes. Most tools write one below index.json, regctl's artifacts have two."""

MAX_IMAGES = 100_000
"""The most images that the indexes of an archive may lead to, counted for each index."""

Descriptor = Mapping[str, Any]


class ManifestReader:
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
        if not is_object(described):
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
