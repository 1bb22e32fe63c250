"""The library's functions. Each does one job in one call, with a client of its own."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from .api.image_info import read_image_info, with_digest
from .api.registry import Registry
from .archive.image_archive import ImageArchive
from .archive.model import ArchiveContent
from .client import RegistryClient
from .exceptions import (
    ManifestUnknownError,
    RegistryUnavailableError,
    ResponseError,
    ValidationError,
)
from .push.compression import CompressionPolicy, policy_of
from .push.manifest_push import Target
from .push.progress import OnProgress, ignore_progress
from .reference import (
    check_digest,
    check_repository,
    check_tag,
    check_tag_or_digest,
    parse_repository_tag,
    strip_registry,
)
from .verification.comparison import verify
from .verification.results import Verification

DEFAULT_TIMEOUT = 30.0
PUSH_TIMEOUT = 300.0


async def check_registry_connectivity(registry_url: str, timeout: float = DEFAULT_TIMEOUT) -> bool:
    """Whether a registry answers at the URL, if only by asking for a login.

    Raises:
        ValidationError: not a URL.
        TLSError: it answers, but its certificate is not trusted.
    """
    async with _registry(registry_url, timeout) as registry:
        try:
            await registry.ping()
        except (RegistryUnavailableError, ResponseError):
            return False
        return True


async def push_docker_tar(
    tar_path: str | Path,
    registry_url: str,
    repository: str | None = None,
    tag: str | None = None,
    timeout: float = PUSH_TIMEOUT,
    *,
    compression: CompressionPolicy | str = CompressionPolicy.GZIP,
    on_progress: OnProgress = ignore_progress,
) -> str:
    """Push the image of a tar, and return its manifest's digest.

    Args:
        tar_path: ``docker save`` or OCI layout, compressed or not; or the folder of a layout.
        registry_url: ``http://localhost:15000``; a bare host is HTTPS unless it is loopback.
        repository: where to push; by default, where the tar's first original tag says.
        tag: by default ``latest``, or the original tag if there is no ``repository`` either.
        timeout: seconds without any progress after which the push fails.
        compression: ``gzip`` compresses layers that are not compressed yet, ``keep`` does not.

    Raises:
        ValidationError: a bad name, a tar that does not exist, or one with several images.
        TarReadError: the tar is malformed, or its bytes are not what its digests say.
        RegistryError: the registry refused or failed; the subclass says why.
    """
    policy = policy_of(compression)
    async with RegistryClient(timeout=timeout) as client:
        with await asyncio.to_thread(ImageArchive, tar_path) as archive:
            image = archive.images[0] if repository is None else archive.select()
            repository, tag = _destination(image, repository, tag)
            target = Target(client.registry(registry_url), repository, (tag,))
            pushed = await client.pusher.push(
                archive, image, [target], compression=policy, on_progress=on_progress
            )
            return pushed.digest


async def push_docker_tar_with_original_tags(
    tar_path: str | Path, registry_url: str, timeout: float = PUSH_TIMEOUT
) -> str:
    """Push the first image under its first original tag, without the registry in that tag.

    Raises:
        ValidationError: the tar has no original tags; else as ``push_docker_tar``.
    """
    return await push_docker_tar(tar_path, registry_url, timeout=timeout)


async def push_docker_tar_with_all_original_tags(
    tar_path: str | Path, registry_url: str, timeout: float = PUSH_TIMEOUT
) -> list[str]:
    """Push every image of the tar under all its original tags.

    Returns:
        One digest for each tag, in the tar's order.

    Raises:
        ValidationError: the tar has no original tags; else as ``push_docker_tar``.
    """
    digests: list[str] = []
    async with RegistryClient(timeout=timeout) as client:
        registry = client.registry(registry_url)
        with await asyncio.to_thread(ImageArchive, tar_path) as archive:
            for image in archive.images:
                targets = [
                    Target(registry, repository, (tag,))
                    for repository, tag in map(_split_original, image.original_tags)
                ]
                if targets:
                    pushed = await client.pusher.push(archive, image, targets)
                    digests += [pushed.digest] * len(targets)
    if not digests:
        raise ValidationError(f"{tar_path} has no original tags; name repository and tag")
    return digests


async def verify_image(
    tar_path: str | Path,
    registry_url: str,
    repository: str,
    reference: str = "latest",
    timeout: float = PUSH_TIMEOUT,
    *,
    image: str | None = None,
    deep: bool = False,
) -> Verification:
    """Compare an image in a registry with one in a tar, layer by layer.

    Args:
        reference: the tag or digest in the registry.
        timeout: seconds without any progress after which it fails.
        image: which image of the tar, by its tag there, if there are several.
        deep: download every blob and compute every digest, not only what digests leave open.

    Raises:
        ValidationError: a bad name, a tar that does not exist, or one with several images.
        TarReadError: the tar is malformed, or its bytes are not what its digests say.
        ManifestUnknownError: there is no such image in the registry.
        RegistryError: the registry refused or failed; the subclass says why.
    """
    async with _registry(registry_url, timeout) as registry:
        with await asyncio.to_thread(ImageArchive, tar_path) as archive:
            return await verify(
                registry,
                check_repository(repository),
                check_tag_or_digest(reference),
                archive.select(image),
                deep=deep,
            )


async def list_repositories(registry_url: str, timeout: float = DEFAULT_TIMEOUT) -> list[str]:
    """All repositories of a registry.

    Raises:
        RegistryError: the registry failed, or does not list its repositories.
    """
    async with _registry(registry_url, timeout) as registry:
        return await registry.catalog.repositories()


async def list_tags(
    registry_url: str, repository: str, timeout: float = DEFAULT_TIMEOUT
) -> list[str]:
    """All tags of a repository.

    Raises:
        NameUnknownError: there is no such repository.
    """
    async with _registry(registry_url, timeout) as registry:
        return await registry.catalog.tags(check_repository(repository))


async def get_manifest(
    registry_url: str, repository: str, tag: str, timeout: float = DEFAULT_TIMEOUT
) -> dict[str, Any]:
    """The manifest under a tag or digest, with its ``digest`` added.

    Raises:
        ManifestUnknownError: there is no such image.
    """
    async with _registry(registry_url, timeout) as registry:
        return with_digest(
            await registry.manifests.get(check_repository(repository), check_tag_or_digest(tag))
        )


async def get_image_info(
    registry_url: str, repository: str, tag: str, timeout: float = DEFAULT_TIMEOUT
) -> dict[str, Any]:
    """What a registry knows about an image, by its tag or digest.

    For an index it is the image for this machine's platform, or else the first image.

    Returns:
        ``repository``, ``tag``, ``digest``, ``architecture``, ``os``, ``created``, ``size`` and
        ``total_size`` (both are the bytes of config and layers as stored there), ``layers``
        (descriptors), ``layer_count``, ``config`` and ``manifest`` (documents), and ``platforms``
        (those of the index, such as ``linux/arm64``; empty where there is no index).

    Raises:
        ManifestUnknownError: there is no such image.
        ValidationError: the tag names neither an image nor an index with one.
    """
    async with _registry(registry_url, timeout) as registry:
        return await read_image_info(
            registry, check_repository(repository), check_tag_or_digest(tag)
        )


async def delete_image(
    registry_url: str, repository: str, tag: str, timeout: float = DEFAULT_TIMEOUT
) -> bool:
    """Delete the image that a tag names, with all its tags. Returns True.

    Raises:
        ManifestUnknownError: there is no such image.
        UnsupportedError: deletes are switched off at this registry.
    """
    async with _registry(registry_url, timeout) as registry:
        digest = await registry.manifests.digest(check_repository(repository), check_tag(tag))
        if digest is None:
            raise _unknown(f"{repository}:{tag}")
        return await _delete(registry, repository, digest)


async def delete_image_by_digest(
    registry_url: str, repository: str, digest: str, timeout: float = DEFAULT_TIMEOUT
) -> bool:
    """Delete the manifest of that digest, with all its tags. Returns True.

    Raises:
        ManifestUnknownError: there is no such manifest.
        UnsupportedError: deletes are switched off at this registry.
    """
    async with _registry(registry_url, timeout) as registry:
        return await _delete(registry, check_repository(repository), check_digest(digest))


async def _delete(registry: Registry, repository: str, digest: str) -> bool:
    if not await registry.manifests.delete(repository, digest):
        raise _unknown(f"{repository}@{digest}")
    return True


def _unknown(reference: str) -> ManifestUnknownError:
    return ManifestUnknownError(f"there is no {reference} to delete", status=404)


@asynccontextmanager
async def _registry(registry_url: str, timeout: float) -> AsyncIterator[Registry]:
    async with RegistryClient(timeout=timeout) as client:
        yield client.registry(registry_url)


def _destination(image: ArchiveContent, repository: str | None, tag: str | None) -> tuple[str, str]:
    if repository is None:
        if not image.original_tags:
            raise ValidationError(f"{image.tar.path} has no original tags; name repository and tag")
        repository, original = _split_original(image.original_tags[0])
        tag = tag or original
    return check_repository(repository), check_tag(tag or "latest")


def _split_original(name: str) -> tuple[str, str]:
    repository, tag = parse_repository_tag(name)
    return check_repository(strip_registry(repository), name), check_tag(tag, name)
