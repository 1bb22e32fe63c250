"""What the engine tells while it pushes."""

from collections.abc import Callable
from dataclasses import dataclass
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


OnProgress = Callable[[BlobProgress], None]


def ignore_progress(_: BlobProgress) -> None:
    """For callers who do not want to know."""
