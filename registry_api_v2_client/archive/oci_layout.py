"""An OCI image layout: which of the manifests in ``index.json`` are images, and under what names.

Source: https://github.com/opencontainers/image-spec/blob/main/image-layout.md
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from ..exceptions import TarReadError
from ..media_types import IMAGE_INDEXES, IMAGE_MANIFESTS, OCI_INDEX
from ..platforms import Platform
from .contents import ArchiveContents
from .documents import is_object, is_object_list
from .manifest_reader import Descriptor, ManifestReader
from .model import ArchiveContent, ArchiveIndex, CarriedManifest, Companion, LostCompanion

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
    reader = ManifestReader(contents)
    if _is_itself_the_image(descriptors):
        raw = contents.read("index.json", "index")
        carried = CarriedManifest(raw, OCI_INDEX, document)
        return OciLayout((reader.index(carried, depth=0),))
    return _LayoutReader(reader, descriptors).layout()


def _is_itself_the_image(descriptors: Sequence[Descriptor]) -> bool:
    """Whether index.json is an image index: several platforms, and no image has a name.

    Tools that write one image at a time do so, such as bazel's; crane pushes such a layout whole.
    """
    platforms = [Platform.of(d["platform"]) for d in descriptors if is_object(d.get("platform"))]
    known = {platform for platform in platforms if platform and platform.known}
    named = any(_names(descriptor) for descriptor in descriptors)
    return not named and len(platforms) == len(descriptors) and len(known) > 1


class _LayoutReader:
    """Separates the images in ``index.json`` from manifests that are about them."""

    def __init__(self, reader: ManifestReader, descriptors: Sequence[Descriptor]) -> None:
        self._reader = reader
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


def _names(descriptor: Descriptor) -> list[str]:
    """Names of a manifest in a layout: containerd's full name, or else what may be only a tag."""
    annotations = descriptor.get("annotations")
    if not is_object(annotations):
        return []
    name = annotations.get(_CONTAINERD_NAME) or annotations.get(_REF_NAME)
    return [name] if isinstance(name, str) and name else []


def _cosign_ending(descriptor: Descriptor) -> str | None:
    annotations = descriptor.get("annotations")
    kind = annotations.get(_COSIGN_KIND) if is_object(annotations) else None
    return _COSIGN_ENDINGS.get(str(kind))
