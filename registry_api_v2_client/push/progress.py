"""What the engine reports while it pushes."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple


class BlobState(StrEnum):
    """How far a blob is, and in the end how it came to be at the registry."""

    WAITING = "waiting"
    """Its turn has not come."""
    UPLOADING = "uploading"
    """It is being sent."""
    UPLOADED = "uploaded"
    """It was sent."""
    MOUNTED = "mounted"
    """The registry took it from another of its repositories."""
    EXISTS = "exists"
    """It was there already."""
    WAITED = "waited"
    """Another push was sending it already, and this one waited for that."""

    @property
    def final(self) -> bool:
        return self is BlobState.UPLOADED or self.saved

    @property
    def saved(self) -> bool:
        """Whether it is there without being sent by this push."""
        return self in (BlobState.MOUNTED, BlobState.EXISTS, BlobState.WAITED)


@dataclass(frozen=True, slots=True)
class BlobProgress:
    """One blob's progress in one repository.

    ``digest`` names the blob as the archive does, before compression; ``size`` and ``done`` count
    its bytes in the archive. ``done`` may go back when an upload has to start over. ``sent`` counts
    the bytes that were sent, which are compressed, in all tries.
    """

    repository: str
    digest: str
    size: int
    done: int
    state: BlobState
    sent: int = 0

    @property
    def how(self) -> str:
        """How the blob came to be at the registry; empty until it is there."""
        return self.state if self.state.final else ""


OnProgress = Callable[[BlobProgress], None]


def ignore_progress(_: BlobProgress) -> None:
    """For callers that need no progress."""


class PushTotals(NamedTuple):
    """How far a push is, over all of its blobs. Bytes are the archive's, but for ``bytes_sent``."""

    bytes_done: int
    bytes_total: int
    blobs_done: int
    blobs_total: int
    bytes_sent: int
    """Bytes that were sent, compressed, to all repositories and in all tries."""
    bytes_saved: int
    """Bytes of the blobs that need not be sent: they were there, were mounted, or another push has
    sent them.
    """


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

    @property
    def totals(self) -> PushTotals:
        """All of them together."""
        blobs = self.blobs
        return PushTotals(
            bytes_done=sum(blob.done for blob in blobs),
            bytes_total=sum(blob.size for blob in blobs),
            blobs_done=sum(blob.state.final for blob in blobs),
            blobs_total=len(blobs),
            bytes_sent=sum(blob.sent for blob in blobs),
            bytes_saved=sum(blob.size for blob in blobs if blob.state.saved),
        )


def _overall(parts: list[BlobProgress]) -> BlobProgress:
    sent = sum(part.sent for part in parts)
    if all(part.state.final for part in parts):
        # The first repository tells how the bytes came to the registry; the others mounted them.
        return replace(parts[0], sent=sent)
    furthest = max((part for part in parts if not part.state.final), key=lambda part: part.done)
    return replace(furthest, done=max(part.done for part in parts), sent=sent)
