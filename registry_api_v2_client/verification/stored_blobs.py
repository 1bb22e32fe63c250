"""Blobs as a registry stores them: present or not, complete or not."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from ..api.registry import Registry
from ..descriptors import is_sha256
from ..exceptions import AnswerCutShortError, BlobUnknownError, DigestMismatchError, ProtocolError
from .results import Verdict


@dataclass(frozen=True, slots=True)
class Descriptor:
    """What a manifest says about a blob, as far as it matters here."""

    digest: str
    size: int

    @classmethod
    def of(cls, document: Any) -> "Descriptor":
        """Raises ProtocolError: it has no digest and size."""
        digest = document.get("digest") if isinstance(document, dict) else None
        size = document.get("size") if isinstance(document, dict) else None
        if not isinstance(digest, str) or not is_sha256(digest) or not isinstance(size, int):
            raise ProtocolError("a descriptor in the manifest has no digest and size", status=200)
        return cls(digest, size)


class StoredBlobs:
    """The blobs of ``repository``, as the registry really stores them."""

    def __init__(self, registry: Registry, repository: str) -> None:
        self._registry = registry
        self._repository = repository

    async def presence(self, blob: Descriptor) -> Verdict:
        """Whether the registry says that it has the blob, in the right size."""
        try:
            there = await self._registry.blobs.has(self._repository, blob.digest, blob.size)
        except (DigestMismatchError, ProtocolError):
            return Verdict.CORRUPT
        return Verdict.EQUAL if there else Verdict.MISSING

    async def download(self, blob: Descriptor, take: Callable[[bytes], None]) -> Verdict | None:
        """Pass a blob to ``take``, off the event loop. Returns a verdict if it is not whole."""
        size = 0

        async def sink(piece: bytes) -> None:
            nonlocal size
            size += len(piece)
            if size > blob.size:
                raise _OversizedError
            await asyncio.to_thread(take, piece)

        try:
            await self._registry.blobs.read(self._repository, blob.digest, sink)
        except BlobUnknownError:
            return Verdict.MISSING
        except _OversizedError:
            return Verdict.CORRUPT
        except AnswerCutShortError:
            # A connection may break anywhere. A truncated blob ends at the same byte each time.
            if await self._breaks_off_at(blob) != size:
                raise
            return Verdict.CORRUPT if size else Verdict.MISSING
        return None

    async def _breaks_off_at(self, blob: Descriptor) -> int | None:
        """After how many bytes of a blob the registry ends its answer; None if it sends all."""
        size = 0

        async def sink(piece: bytes) -> None:
            nonlocal size
            size += len(piece)

        try:
            await self._registry.blobs.read(self._repository, blob.digest, sink)
        except AnswerCutShortError:
            return size
        return None


class _OversizedError(Exception):
    """The blob has more bytes than the descriptor says."""
