"""Turns command-line arguments into the jobs to enqueue."""

import errno
import os
import stat
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar

from pydantic import SecretStr

from producer.cli.exits import BadInputError, BadInputsError
from producer.job_description import PushOptions
from push_queue.models.source_urls import is_url, parse_source_url, shown
from push_queue.settings import Settings
from registry_api_v2_client.archive.image_archive import ImageArchive
from registry_api_v2_client.archive.opening import open_source
from registry_api_v2_client.archive.source_file import reason_of
from registry_api_v2_client.exceptions import RegistryError
from registry_api_v2_client.platforms import Platform
from registry_api_v2_client.reference import (
    Reference,
    check_repository,
    check_tag,
    parse_reference,
    parse_registry_host,
    parse_repository_tag,
    strip_registry,
)

STANDARD_INPUT = Path("-")

Found = TypeVar("Found")
Tar = Path | str
"""What was named as a tar: a path, or a URL that workers read."""


@dataclass(frozen=True, slots=True)
class Request:
    """One job to enqueue."""

    source: Tar
    targets: tuple[str, ...]
    image: str | None = None
    platform: str | None = None

    def with_options(self, options: PushOptions) -> PushOptions:
        """The options of this job, on top of those for all."""
        return {**options, "image": self.image, "platform": self.platform}


def by_redis(request: Request, settings: Settings) -> list[Request]:
    """The request, or one for each Redis that has some of its targets."""
    parts: dict[SecretStr, list[str]] = {}
    for target in request.targets:
        url = settings.redis_for(str(parse_reference(target)))
        parts.setdefault(url, []).append(target)
    return [replace(request, targets=tuple(targets)) for targets in parts.values()]


def check_source(path: Path) -> Path:
    """The absolute path of a tar, or of a layout's folder, that can be read here.

    Raises:
        BadInputError: missing, neither file nor folder, unreadable or empty.
        SourceUnreadableError: a folder that holds no image.
    """
    try:
        found = path.stat()
    except FileNotFoundError:
        raise BadInputError(f"{path} does not exist") from None
    except OSError as error:
        raise BadInputError(f"{path} cannot be read: {reason_of(error)}") from None
    if stat.S_ISDIR(found.st_mode):
        with open_source(path):  # which says what is wrong with it
            return path.absolute()
    if not stat.S_ISREG(found.st_mode):
        raise BadInputError(f"{path} is neither a regular file nor a folder")
    if not os.access(path, os.R_OK):
        refused = PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        raise BadInputError(f"{path} cannot be read: {reason_of(refused)}")
    if not found.st_size:
        raise BadInputError(f"{path} is empty")
    return path.absolute()


def check_archive(path: Path) -> Path:
    """The absolute path of an image tar or layout. A tar that is compressed is read through.

    Raises:
        BadInputError, SourceUnreadableError: see ``check_source``.
        TarReadError: not an image tar.
    """
    source = check_source(path)
    with ImageArchive(source):
        return source


def remote_source(path: Path) -> Path:
    """A path that the workers have, and that is not looked at here.

    Raises:
        BadInputError: not absolute, or with ``..`` in it, so that it would depend on folders of
            this machine.
    """
    if not path.is_absolute() or ".." in path.parts:
        fault = "has .. in it" if path.is_absolute() else "is not absolute"
        raise BadInputError(f"{path} {fault}: --remote-path takes the workers' full path")
    return path


def tar_of(text: str) -> Tar:
    """What was typed as a tar.

    Raises:
        BadInputError: nothing, as by a variable that is not set.
    """
    if not text:
        raise BadInputError("the name of a tar is empty; is the variable with it set?")
    return text if is_url(text) else Path(text)


def url_or(check: Callable[[Path], Path]) -> Callable[[Tar], Tar]:
    """The check, of paths alone. What is at a URL is for the workers to see.

    Raises:
        BadInputError: no URL that a tar can be read from.
    """

    def check_tar(tar: Tar) -> Tar:
        if isinstance(tar, Path):
            return check(tar)
        try:
            parse_source_url(tar)
        except ValueError as error:
            raise BadInputError(f"{shown(tar)} {error}") from None
        return tar

    return check_tar


def check_standard_input() -> None:
    """Raises BadInputError if nobody pipes anything into this."""
    if sys.stdin is None:
        raise BadInputError("standard input is closed")
    if sys.stdin.isatty():
        raise BadInputError(
            "standard input is a terminal; pipe a tar into it, such as: "
            "docker save app | push-queue push - --to reg.example.com/app:1"
        )


def standard_input_or(check: Callable[[Path], Path]) -> Callable[[Path], Path]:
    """The check, of all but standard input, which can be read only once."""
    return lambda path: path if path == STANDARD_INPUT else check(path)


def to_targets(
    tars: Sequence[Tar],
    targets: Sequence[str],
    image: str | None,
    platform: str | None = None,
    *,
    check: Callable[[Path], Path] = check_source,
) -> list[Request]:
    """The job that pushes one tar to these targets.

    Raises:
        BadInputsError: several tars fail ``check``.
        BadInputError: a tar cannot be read, or there are several for the same targets.
        ValidationError: a target is no reference, or the platform none.
    """
    platform = _platform(platform)
    sources = _each(url_or(check), tars)
    for target in targets:
        parse_reference(target)
    if len(sources) > 1:
        raise BadInputError(
            f"{len(sources)} tars would overwrite each other at {targets[0]}; enqueue them one by "
            "one, or use --original-tags"
        )
    return [Request(sources[0], tuple(targets), image, platform)]


def to_original_tags(
    tars: Sequence[Tar], registry: str, platform: str | None = None
) -> list[Request]:
    """One job for each image in these tars, to the tags that it had, on another registry.

    Raises:
        BadInputsError: several tars are wrong.
        BadInputError: a tar cannot be read, or an image in it has no tag.
        TarReadError: not an image tar.
        ValidationError: the registry, or a tag in the tar, cannot be pushed to; or
            ``platform`` is not a platform.
    """
    platform = _platform(platform)
    host = parse_registry_host(registry)
    if parse_reference(f"{host}/app").registry != host:
        raise BadInputError(f"{registry!r} reads as a Docker Hub name; write host:port")
    images = _each(lambda tar: _images(_here(tar), host, platform), tars)
    return [request for requests in images for request in requests]


def _here(tar: Tar) -> Path:
    if isinstance(tar, str):
        raise BadInputError(
            f"{shown(tar)}: --original-tags reads the tar here; name the target with --to"
        )
    return check_source(tar)


def _each(look: Callable[[Tar], Found], tars: Iterable[Tar]) -> list[Found]:
    """What ``look`` finds of each tar; all the bad ones are named at once, and none is taken."""
    found: list[Found] = []
    errors: list[Exception] = []
    for tar in tars:
        try:
            found.append(look(tar))
        except (BadInputError, RegistryError) as error:
            errors.append(error)
    if len(errors) > 1:
        raise BadInputsError(errors)
    if errors:
        raise errors[0]
    return found


def _images(source: Path, registry: str, platform: str | None) -> list[Request]:
    with ImageArchive(source) as archive:
        images = [image.original_tags for image in archive.images]
    if untagged := images.count(()):
        raise BadInputError(
            f"{source}: {untagged} of {len(images)} images have no tag; name one with --to"
        )
    return [
        Request(
            source,
            tuple(dict.fromkeys(_rebase(tag, registry) for tag in tags)),
            tags[0] if len(images) > 1 else None,
            platform,
        )
        for tags in images
    ]


def _platform(text: str | None) -> str | None:
    """The platform in the one spelling that jobs have."""
    return str(Platform.parse(text)) if text else None


def _rebase(original: str, registry: str) -> str:
    """``quay.io/team/app:1`` is ``<registry>/team/app:1``."""
    name, tag = parse_repository_tag(original)
    repository = check_repository(strip_registry(name), original)
    return str(Reference(registry, repository, check_tag(tag, original)))
