"""What ``push-queue enqueue`` was asked for, and whether it goes together."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from producer.cli.exits import BadInputError
from producer.cli.requests import (
    STANDARD_INPUT,
    Request,
    Tar,
    by_redis,
    check_archive,
    remote_source,
    standard_input_or,
    to_original_tags,
    to_targets,
)
from push_queue.settings import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """Which tars are to go where."""

    tars: list[Tar]
    targets: list[str]
    original_tags: bool
    registry: str | None
    image: str | None
    platform: str | None
    remote_path: bool
    """The tars are at paths of the workers."""
    upload: bool
    """The tars go to a server first."""
    cleanup: bool
    job_id: str | None

    def requests(self, settings: Settings) -> list[Request]:
        """The jobs to enqueue.

        Raises:
            BadInputError, BadInputsError: options that do not go together, or tars that are wrong.
            TarReadError, ValidationError: see ``to_targets`` and ``to_original_tags``.
        """
        if STANDARD_INPUT in self.tars:
            self._check_standard_input()
        if self.cleanup and self.upload:
            raise BadInputError("--cleanup is for tars of the workers; an upload is deleted anyway")
        requests = [part for one in self._by_target() for part in by_redis(one, settings)]
        if self.job_id is not None and len(requests) > 1:
            raise BadInputError(f"--id names one job, but this makes {len(requests)}; leave it out")
        if self.cleanup and len({request.source for request in requests}) < len(requests):
            raise BadInputError(
                "--cleanup needs one job a tar, and this makes several of one; leave it out"
            )
        if self.upload:
            _refuse_folders(
                requests, "--server takes tars: tar -C {} -cf - . | push-queue enqueue -"
            )
        if self.cleanup and not self.remote_path:
            _refuse_folders(requests, "--cleanup does not delete it, as it may hold other images")
        return requests

    def _by_target(self) -> list[Request]:
        if self.original_tags == bool(self.targets):
            raise BadInputError("say where to push: either --to REF, or --original-tags")
        if self.original_tags != bool(self.registry):
            raise BadInputError("--original-tags and --registry HOST belong together")
        if self.image and self.original_tags:
            raise BadInputError("--image goes with --to; --original-tags pushes every image")
        if self.remote_path and self.original_tags:
            raise BadInputError("--remote-path goes with --to; --original-tags reads the tar here")
        if self.registry:
            return to_original_tags(self.tars, self.registry, self.platform)
        check = remote_source if self.remote_path else standard_input_or(check_archive)
        return to_targets(self.tars, self.targets, self.image, self.platform, check=check)

    def _check_standard_input(self) -> None:
        if not self.upload:
            raise BadInputError(
                "- is standard input, which only --server takes; `push -` pushes it from here"
            )
        if self.original_tags:
            raise BadInputError("--original-tags reads the tar twice; write it to a file, not to -")
        if len(self.tars) > 1:
            raise BadInputError("- is one tar; enqueue the others by themselves")


def _refuse_folders(requests: Iterable[Request], why: str) -> None:
    """Raises BadInputError for a folder; in ``why``, ``{}`` stands for its name."""
    for request in requests:
        if isinstance(request.source, Path) and request.source.is_dir():
            raise BadInputError(f"{request.source} is a folder; {why.format(request.source)}")


def parse_label(text: str) -> tuple[str, str]:
    """Name and value of ``NAME=VALUE``. Raises BadInputError."""
    name, equals, value = text.partition("=")
    if not (name and equals):
        raise BadInputError(f"--label {text!r} is not NAME=VALUE")
    return name, value
