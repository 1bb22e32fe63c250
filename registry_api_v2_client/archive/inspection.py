"""What an image tar holds: plain functions on a path, no registry involved."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any

import pydantic

from ..exceptions import SourceUnreadableError, TarReadError
from ..media_types import DOCKER
from ..models import ImageConfig, ImageInspect, LayerInfo
from ..reference import parse_repository_tag
from .contents import ArchiveContents
from .docker_save import written_tags
from .image_archive import ImageArchive
from .model import ArchiveContent, ArchiveImage, Layer
from .opening import open_files, open_source

_MOMENT = pydantic.TypeAdapter[datetime | None](datetime | None)


def validate_docker_tar(tar_path: str | Path) -> bool:
    """Whether the file is an image tar with its manifest, configs and layers.

    Layers are not read; their digests are verified when they are pushed.

    Raises:
        ValidationError: the file does not exist, is not a file, or cannot be read.
    """
    try:
        ImageArchive(tar_path).close()
    except SourceUnreadableError:
        raise
    except TarReadError:
        return False
    return True


def get_tar_manifest(tar_path: str | Path) -> list[dict[str, Any]]:
    """The tar's ``manifest.json``: one object per image with Config, RepoTags and Layers.

    Raises:
        ValidationError: the file does not exist or cannot be read.
        TarReadError: not an image tar, or an OCI layout without ``manifest.json``.
    """
    with ImageArchive(tar_path) as archive:
        manifest = archive.docker_manifest()
    if manifest is None:
        raise TarReadError(f"{tar_path} is an OCI image layout; it has no manifest.json")
    return manifest


def extract_original_tags(tar_path: str | Path) -> list[str]:
    """The tags that the images had when they were saved, each once, in the tar's order.

    They are in manifest.json's RepoTags, or else in the older ``repositories`` file. Configs and
    layers may be missing.

    Raises:
        SourceUnreadableError: the file does not exist or cannot be read.
        TarReadError: not an image tar.
    """
    try:
        with ImageArchive(tar_path) as archive:
            tags = [tag for image in archive.images for tag in image.original_tags]
    except TarReadError:
        with open_source(tar_path) as source, open_files(source) as index:
            tags = written_tags(ArchiveContents(index))
        if not tags:
            raise
    return list(dict.fromkeys(tags))


def get_primary_tag(tar_path: str | Path) -> tuple[str, str] | None:
    """The first original tag as ``(repository, tag)``, or None if the tar has none."""
    tags = extract_original_tags(tar_path)
    return parse_repository_tag(tags[0]) if tags else None


def inspect_docker_tar(tar_path: str | Path) -> ImageInspect:
    """Describe the first image in the tar; for an index, the first image with a platform.

    A tar with wrong digests is described, too, though it cannot be pushed.

    Raises:
        SourceUnreadableError: the file does not exist or cannot be read.
        TarReadError: not an image tar, or its config has fields of the wrong type.
    """
    try:
        archive = ImageArchive(tar_path)
    except TarReadError:
        archive = ImageArchive(tar_path, checked=False)
    with archive:
        content = archive.images[0]
    try:
        return _inspect(_first_image(content))
    except pydantic.ValidationError as error:
        first = error.errors()[0]
        field = ".".join(map(str, first["loc"]))
        raise TarReadError(f"the image config in {tar_path}: {field}: {first['msg']}") from error


def _first_image(content: ArchiveContent) -> ArchiveImage:
    if not content.images:
        raise TarReadError(f"{content.tar.path} holds an index without any image")
    runnable = (image for image in content.images if image.platform and image.platform.known)
    return replace(next(runnable, content.images[0]), tags=content.tags)


def _inspect(image: ArchiveImage) -> ImageInspect:
    document = image.config_document
    size = len(image.config) + sum(layer.size for layer in image.layers)
    config = _image_config(document)
    history = _layer_history(document)
    layers = [
        _layer_info(layer, history[position] if len(history) == len(image.layers) else {})
        for position, layer in enumerate(image.layers)
    ]
    return ImageInspect(
        id=image.config_digest,
        repo_tags=list(image.tags),
        parent=document.get("parent"),
        comment=document.get("comment") or "",
        created=config.created,
        config=config,
        layers=layers,
        size=size,
        virtual_size=size,
        architecture=config.architecture,
        os=config.os,
        author=document.get("author") or "",
        rootfs_type=_section(document, "rootfs").get("type") or "layers",
        rootfs_layers=config.diff_ids,
    )


def _image_config(document: Mapping[str, Any]) -> ImageConfig:
    runtime = _section(document, "config")
    return ImageConfig(
        architecture=document.get("architecture") or "",
        os=document.get("os") or "",
        created=_moment(document.get("created")),
        cmd=runtime.get("Cmd") or [],
        entrypoint=runtime.get("Entrypoint") or [],
        env=runtime.get("Env") or [],
        user=runtime.get("User") or "",
        working_dir=runtime.get("WorkingDir") or None,
        exposed_ports=runtime.get("ExposedPorts") or {},
        labels=runtime.get("Labels") or {},
        diff_ids=_section(document, "rootfs").get("diff_ids") or [],
    )


def _layer_info(layer: Layer, history: Mapping[str, Any]) -> LayerInfo:
    return LayerInfo(
        digest=layer.digest or layer.diff_id or "",
        size=layer.size,
        media_type=str((layer.descriptor or {}).get("mediaType") or "")
        or DOCKER.layers.get(layer.compression, "application/zstd"),
        created=_moment(history.get("created")),
        created_by=history.get("created_by"),
    )


def _layer_history(document: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """History entries that made a layer, base first."""
    history = document.get("history")
    if not isinstance(history, list):
        return []
    return [entry for entry in history if isinstance(entry, dict) and not entry.get("empty_layer")]


def _moment(value: object) -> datetime | None:
    """The time that a builder wrote, or None if it is not one: nothing depends on it."""
    try:
        return _MOMENT.validate_python(value)
    except pydantic.ValidationError:
        return None


def _section(document: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = document.get(name)
    return section if isinstance(section, dict) else {}
