"""Carries a push's progress to Redis, and what the user wants back."""

import asyncio
import logging
from typing import Literal

from push_queue import BlobStatus, Claim, JobStore, RedisUnavailableError, Signal
from registry_api_v2_client import BlobProgress, BlobState

logger = logging.getLogger(__name__)

_WRITE_SECONDS = 0.25
"""Least time between two writes."""
_QUIET_WRITES = 4
"""After so many intervals without news, ask whether to go on all the same."""

_HOW: dict[BlobState, Literal["uploaded", "mounted", "exists"]] = {
    BlobState.UPLOADED: "uploaded",
    BlobState.MOUNTED: "mounted",
    BlobState.EXISTS: "exists",
}


class ProgressReporter:
    """Progress of one attempt. The engine calls ``update``; ``watch`` writes it down."""

    def __init__(self, store: JobStore, claim: Claim) -> None:
        self._store = store
        self._claim = claim
        self._blobs: dict[str, dict[str, BlobProgress]] = {}
        self._changed: set[str] = set()

    def update(self, progress: BlobProgress) -> None:
        self._blobs.setdefault(progress.digest, {})[progress.repository] = progress
        self._changed.add(progress.digest)

    async def watch(self) -> Signal:
        """Write progress now and then until the job is no longer to be run here, and say why."""
        quiet = 0
        while True:
            await asyncio.sleep(_WRITE_SECONDS)
            quiet = 0 if self._changed else quiet + 1
            if self._changed or quiet % _QUIET_WRITES == 0:
                signal = await self._exchange()
                if signal is not Signal.CONTINUE:
                    return signal

    async def flush(self) -> None:
        """Write what has not been written yet."""
        if self._changed:
            await self._exchange()

    async def _exchange(self) -> Signal:
        changed, self._changed = self._changed, set()
        try:
            if not changed:
                return await self._store.heartbeat(self._claim)
            blobs = [_status(digest, parts) for digest, parts in self._blobs.items()]
            return await self._store.progress(
                self._claim,
                bytes_done=sum(blob.done for blob in blobs),
                bytes_total=sum(blob.size for blob in blobs),
                blobs_done=sum(bool(blob.how) for blob in blobs),
                blobs_total=len(blobs),
                blobs=[blob for blob in blobs if blob.digest in changed],
            )
        except RedisUnavailableError as error:
            self._changed |= changed
            logger.warning("job %s: progress not written: %s", self._claim.job.id, error)
            return Signal.CONTINUE


def _status(digest: str, by_repository: dict[str, BlobProgress]) -> BlobStatus:
    """One blob over all repositories that it goes to; done when it is in each of them."""
    parts = list(by_repository.values())
    how = [_HOW[part.state] for part in parts if part.state in _HOW]
    done = len(how) == len(parts)
    return BlobStatus(
        digest=digest,
        size=parts[0].size,
        done=parts[0].size if done else max(part.done for part in parts),
        # The first repository tells how the bytes came to the registry; the others mounted them.
        how=how[0] if done else "",
    )
