"""What the engine reports while it pushes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum


class BlobState(StrEnum):
    """How far a blob is, and in the end how it came to be at the registry."""

    WAITING = "waiting"
    UPLOADING = "uploading"
    UPLOADED = "uploaded"
    MOUNTED = "mounted"
    EXISTS = "exists"

    @property
    def final(self) -> bool:
        return self in (BlobState.UPLOADED, BlobState.MOUNTED, BlobState.EXISTS)


@dataclass(frozen=True, slots=True)
class BlobProgress:
    """One blob's progress in one repository.

    ``digest`` names the blob as the archive does, before compression; ``size`` and ``done`` count
    its bytes in the archive. ``done`` may go back when an upload has to start over.
    """

    repository: str
    digest: str
    size: int
    done: int
    state: BlobState

    @property
    def how(self) -> str:
        """How the blob came to be at the registry; empty until it is there."""
        return self.state if self.state.final else ""


OnProgress = Callable[[BlobProgress], None]


def ignore_progress(_: BlobProgress) -> None:
    """For callers that need no progress."""


class PushProgress:
    """How far a push is; ``update`` is an ``OnProgress``."""

    def __init__(self) -> None:
        self._parts: dict[str, dict[str, BlobProgress]] = {}

    def update(self, progress: BlobProgress) -> None:
        self._parts.setdefault(progress.digest, {})[progress.repository] = progress

    @property
    def blobs(self) -> list[BlobProgress]:
        """Each blob, over all of its repositories. It is final once it is in each of them."""
        return [_overall(list(parts.values())) for parts in self._parts.values()]


def _overall(parts: list[BlobProgress]) -> BlobProgress:
    if all(part.state.final for part in parts):
        # The first repository tells how the bytes came to the registry; the others mounted them.
        return parts[0]
    furthest = max((part for part in parts if not part.state.final), key=lambda part: part.done)
    return replace(furthest, done=max(part.done for part in parts))
