"""Archives as images: config, layers, tags, and the manifest if the archive carries one.

An archive is a tar, or the folder of an OCI layout. It may hold two descriptions, and current
docker writes both: ``manifest.json`` of docker save, and an OCI image layout. For an image in both,
the layout knows the manifest and the platforms, and docker save the tags.
"""

from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from ..exceptions import InvalidReferenceError, TarReadError, ValidationError
from ..platforms import Platform
from ..reference import Reference, parse_reference
from .contents import ArchiveContents
from .docker_save import docker_save_entries, docker_save_images
from .model import ArchiveContent, ArchiveImage, Companion, LostCompanion
from .oci_layout import OciLayout, read_layout
from .opening import open_files, open_source
from .source import Source


class ImageArchive:
    """The images of one archive. Nothing is extracted; layers are read in place.

    Use as a context manager, or close it. Opening blocks while the tar is indexed, which for a
    compressed tar means decompressing it once.
    """

    def __init__(self, source: str | Path | Source, *, checked: bool = True) -> None:
        """Open the tar or folder, if it is not open yet, and read its manifests and configs.

        Unless ``checked``, contents need not match their digests: for inspection, not for pushing.

        Raises:
            SourceUnreadableError: missing, not a file, or not readable.
            SourceChangedError: written to while it was read.
            TarReadError: not an image tar; the message names what is wrong.
        """
        self.source = source if isinstance(source, Source) else open_source(source)
        self.images: tuple[ArchiveContent, ...]
        """Images and indexes at the top, not those that an index leads to."""
        self.companions: tuple[Companion, ...]
        """Signatures and other referrers. They are pushed together with their subjects."""
        self.lost_companions: tuple[LostCompanion, ...]
        """Signatures and referrers that cannot be pushed."""
        with ExitStack() as opened, self.source.unchanged():
            if not isinstance(source, Source):
                opened.enter_context(self.source)
            files = opened.enter_context(open_files(self.source))
            self._contents = ArchiveContents(files, checked=checked)
            self._read()
            self._close = opened.pop_all().close

    @property
    def path(self) -> Path | str:
        return self.source.path

    @property
    def compressed(self) -> bool:
        """Whether the tar is compressed as a whole: then read its members one after the other."""
        return self._contents.tar.compressed

    def select(
        self, image: str | None = None, platform: Platform | str | None = None
    ) -> ArchiveContent:
        """What to push: an image, or an index with all its platforms.

        Args:
            image: its tag as written in the tar, or the digest of its manifest or config. Without
                it the tar's only image.
            platform: only the image for that platform, also from within an index.

        Raises:
            ValidationError: no such image, or several to choose from; or no platform.
        """
        if isinstance(platform, str):
            platform = Platform.parse(platform)
        found = self.images if image is None else tuple(self._named(image))
        if not found:
            raise ValidationError(f"{self.path} holds no image {image}; it has {self._names()}")
        if platform:
            return self._of_platform(found, platform)
        if len(found) > 1 and image:
            digests = _listed(*(next(content.digests) for content in found))
            raise ValidationError(
                f"{self.path} holds {len(found)} images named {image}; choose one by its "
                f"digest: {digests}"
            )
        if len(found) > 1:
            raise ValidationError(
                f"{self.path} holds {len(found)} images; choose one of {self._names()}"
            )
        return found[0]

    def docker_manifest(self) -> list[dict[str, Any]] | None:
        """The tar's ``manifest.json``, or None in an OCI layout without one."""
        return docker_save_entries(self._contents)

    def close(self) -> None:
        """Close what this has opened; a file that was open before stays open."""
        self._close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _read(self) -> None:
        layout = self._layout()
        saved = tuple(docker_save_images(self._contents))
        self.images = tuple(map(_as_held, _merged(saved, layout.contents)))
        self.companions, self.lost_companions = layout.companions, layout.lost
        if not self.images:
            raise TarReadError(
                f"{self.path} is not an image tar: it has neither manifest.json nor an index.json "
                "with an image manifest"
            )

    def _layout(self) -> OciLayout:
        # To show an image whose digests are wrong, docker save's description is enough.
        if not self._contents.checked and self.docker_manifest():
            return OciLayout()
        return read_layout(self._contents)

    def _named(self, name: str) -> Iterator[ArchiveContent]:
        if name.startswith("sha256:"):
            held: dict[object, ArchiveContent] = {}
            for root in self.images:
                for content in [root, *root.images]:
                    held.setdefault(tuple(content.digests), content)
            yield from (content for content in held.values() if name in content.digests)
            return
        wanted = _reference(name)
        for image in self.images:
            if name in image.tags or (wanted and wanted in map(_reference, image.tags)):
                yield image

    def _of_platform(self, found: Sequence[ArchiveContent], platform: Platform) -> ArchiveImage:
        matches: dict[object, ArchiveImage] = {}
        for content in found:
            for image in content.of_platform(platform):
                chosen = replace(image, tags=content.tags, notes=())
                matches.setdefault(tuple(image.digests), chosen)
        if len(matches) == 1:
            return next(iter(matches.values()))
        if matches:
            raise ValidationError(
                f"{self.path} holds {len(matches)} images for {platform}; choose one by its "
                f"digest: {_listed(*(next(iter(m.digests)) for m in matches.values()))}"
            )
        platforms = {
            str(image.platform)
            for content in found
            for image in content.images
            if image.platform and image.platform.known
        }
        raise ValidationError(
            f"{self.path} holds no image for {platform}; it has {_listed(*sorted(platforms))}"
        )

    def _names(self) -> str:
        return _listed(*(name for image in self.images for name in image.tags or image.digests))


def _merged(
    saved: Sequence[ArchiveImage], layout: Sequence[ArchiveContent]
) -> tuple[ArchiveContent, ...]:
    """Images in the order of ``manifest.json``, then those that only the layout knows."""
    merged: dict[int, ArchiveContent] = {}
    by_config: dict[bytes, list[tuple[ArchiveImage, ArchiveContent]]] = {}
    for content in layout:
        for image in content.images:
            by_config.setdefault(image.config, []).append((image, content))
    for image in saved:
        pairs = by_config.get(image.config, ())
        twins = [content for other, content in pairs if image.has_layers_of(other)]
        for twin in twins:
            known = merged[id(twin)].tags if id(twin) in merged else ()
            # If the same image has several manifests, each has the tags that the layout gives it.
            tags = (*known, *image.tags) if len(twins) == 1 else twin.tags
            merged[id(twin)] = replace(twin, tags=tuple(dict.fromkeys(tags or twin.tags)))
        if not twins:
            merged[id(image)] = image
    return tuple(merged.values()) + tuple(c for c in layout if id(c) not in merged)


def _as_held(content: ArchiveContent) -> ArchiveContent:
    """An index becomes its image if the archive holds only one, as docker pushes it."""
    if isinstance(content, ArchiveImage) or content.complete:
        return content
    if not content.images:
        raise TarReadError(
            f"{content.tar.path} holds none of the images of its index; save it again with "
            "the platforms that are to be pushed"
        )
    held = (
        f"the archive holds {len(content.images)} of the {len(content.entries)} images of its index"
    )
    if len(content.images) > 1:
        return replace(content, notes=(f"{held}; the index was pushed with those alone",))
    (image,) = content.images
    return replace(
        image, tags=content.tags, notes=(f"{held}; {image.platform} was pushed by itself",)
    )


def _reference(name: str) -> Reference | None:
    try:
        return parse_reference(name if "/" in name else f"library/{name}")
    except InvalidReferenceError:
        return None


def _listed(*names: str) -> str:
    return ", ".join(names) or "untagged images"
