"""``manifest.json``, as docker save and compatible tools write it.

Source: https://github.com/moby/docker-image-spec/blob/main/spec.md#combined-image-json--filesystem-changeset-format
"""

import re
from collections.abc import Iterator, Mapping
from typing import Any

from ..descriptors import sha256
from ..exceptions import ArchiveDigestError, TarReadError
from ..media_types import Compression
from .contents import ArchiveContents
from .documents import is_object_list, is_string_list, parse_object
from .model import ArchiveImage, Layer

_BLOB_NAME = re.compile(r"blobs/sha256/([0-9a-f]{64})(?:\.tar\.gz)?")
_CONFIG_NAME = re.compile(r"(?:blobs/sha256/|sha256:)?([0-9a-f]{64})(?:\.json)?")
# go-containerregistry (crane, ko, kaniko, bazel) names the config by its full digest, and layers by
# the digest of their stored bytes.
# https://github.com/google/go-containerregistry/blob/main/pkg/v1/tarball/write.go
_GGCR_CONFIG = re.compile(r"sha256:[0-9a-f]{64}")
_GGCR_LAYER = re.compile(r"([0-9a-f]{64})\.tar\.gz")

Entry = Mapping[str, Any]


def docker_save_entries(contents: ArchiveContents) -> list[dict[str, Any]] | None:
    """The entries of ``manifest.json``, or None if the tar has no such file."""
    entries = contents.document("manifest.json")
    if entries is None:
        return None
    if not is_object_list(entries):
        raise TarReadError(f"manifest.json in {contents.path} is not a list of images")
    if not entries:
        raise TarReadError(f"manifest.json in {contents.path} lists no image")
    return entries


def docker_save_images(contents: ArchiveContents) -> Iterator[ArchiveImage]:
    """The images of ``manifest.json``, which says nothing about their manifests."""
    for entry in docker_save_entries(contents) or ():
        reader = _EntryReader(contents, entry)
        yield ArchiveImage(
            contents.tar, reader.tags(), reader.config, reader.layers(), manifest=None
        )


def written_tags(contents: ArchiveContents) -> list[str]:
    """The tags in the tar, whatever else is wrong with it."""
    entries = docker_save_entries(contents) or ()
    lists = [tags for entry in entries if is_string_list(tags := entry.get("RepoTags"))]
    return [tag for tags in lists for tag in tags] or [
        f"{repository}:{tag}" for repository, tag, _ in _repositories(contents)
    ]


class _EntryReader:
    """One image of ``manifest.json``."""

    def __init__(self, contents: ArchiveContents, entry: Entry) -> None:
        self._contents = contents
        self._where = f"manifest.json in {contents.path}"
        config = entry.get("Config")
        if not isinstance(config, str) or not config:
            raise TarReadError(f"{self._where} names no Config")
        self._config_name = config
        # docker writes null for an image without layers, or without tags.
        self._layer_names = self._strings("Layers", entry.get("Layers", "missing"), "names")
        self._tags = self._strings("RepoTags", entry.get("RepoTags"), "tags")
        sources = entry.get("LayerSources")
        self._sources: Mapping[str, Any] = sources if isinstance(sources, dict) else {}
        self.config = self._read_config()

    def tags(self) -> tuple[str, ...]:
        return tuple(self._tags or self._legacy_tags())

    def layers(self) -> tuple[Layer, ...]:
        names = self._layer_names
        return tuple(map(self._layer, names, self._contents.diff_ids(self.config, len(names))))

    def _layer(self, name: str, diff_id: str | None) -> Layer:
        # Windows base images: docker records where to download such a layer, and pushes only that.
        source = self._sources.get(diff_id or "")
        if isinstance(source, dict) and source.get("urls"):
            return Layer(
                None, Compression.NONE, source.get("digest"), diff_id, source, is_tar=False
            )
        return self._contents.layer(name, digest=self._stated_digest(name), diff_id=diff_id)

    def _stated_digest(self, name: str) -> str | None:
        named = _BLOB_NAME.fullmatch(name)
        if not named and _GGCR_CONFIG.fullmatch(self._config_name):
            named = _GGCR_LAYER.fullmatch(name)
        return f"sha256:{named[1]}" if named else None

    def _read_config(self) -> bytes:
        name, path = self._config_name, self._contents.path
        content = self._contents.read(name, "config")
        parse_object(content, f"config {name} in {path}")
        stated = _CONFIG_NAME.fullmatch(name)
        wrong = stated and sha256(content) != f"sha256:{stated[1]}"
        if wrong and self._contents.checked:
            raise ArchiveDigestError(f"config {name} in {path} has digest {sha256(content)}")
        return content

    def _strings(self, field: str, value: object, what: str) -> list[str]:
        if value is None:
            return []
        if not is_string_list(value):
            raise TarReadError(f"{self._where}: {field} is not a list of {what}")
        return value

    def _legacy_tags(self) -> Iterator[str]:
        named = list(_repositories(self._contents))
        top = self._layer_names[-1].partition("/")[0] if self._layer_names else ""
        for repository, tag, layer_id in named:
            if layer_id == top or len(named) == 1:
                yield f"{repository}:{tag}"


def _repositories(contents: ArchiveContents) -> Iterator[tuple[str, str, object]]:
    """Repository, tag and id of the top layer from ``repositories``, docker's older file."""
    document = contents.document("repositories")
    if document is None:
        return
    if not isinstance(document, dict):
        raise TarReadError(f"repositories in {contents.path} is not an object")
    for repository, tags in document.items():
        for tag, layer_id in tags.items() if isinstance(tags, dict) else ():
            yield repository, tag, layer_id
