"""Writes a push's progress to Redis, and learns whether to continue."""

import asyncio
import logging
import math

from push_queue.errors import RedisUnavailableError
from push_queue.jobs.attempts import Attempts
from push_queue.models.assignments import Assignment, Signal
from push_queue.models.job_status import BlobStatus
from registry_api_v2_client import BlobProgress, PushProgress

from .upload_rate import UploadRate

logger = logging.getLogger(__name__)

_WRITE_SECONDS = 0.25
"""The shortest time between two writes."""
_QUIET_WRITES = 4
"""Intervals without progress after which to ask whether to continue."""


class ProgressReporter:
    """The progress of one attempt. The engine calls ``update``; ``watch`` writes it to Redis."""

    def __init__(self, attempts: Attempts, assignment: Assignment) -> None:
        self._attempts = attempts
        self._assignment = assignment
        self._push = PushProgress()
        self._changed: set[str] = set()
        self._rate = UploadRate()
        self._rate_written = 0

    def update(self, progress: BlobProgress) -> None:
        self._push.update(progress)
        self._changed.add(progress.digest)

    async def watch(self) -> Signal:
        """Write progress until the job must stop running here. Returns why."""
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
        totals = self._push.totals
        # What was found or mounted took no time.
        rate = self._rate.at(totals.bytes_done - totals.bytes_saved)
        try:
            if not changed and rate == self._rate_written:
                return await self._attempts.heartbeat(self._assignment)
            left = totals.bytes_total - totals.bytes_done
            signal = await self._attempts.progress(
                self._assignment,
                **totals._asdict(),
                bytes_per_second=rate,
                seconds_left=math.ceil(left / rate) if rate else None,
                blobs=[
                    BlobStatus.model_validate(blob)
                    for blob in self._push.blobs
                    if blob.digest in changed
                ],
            )
            self._rate_written = rate
            return signal
        except RedisUnavailableError as error:
            self._changed |= changed
            logger.warning("progress not written: %s", error)
            return Signal.CONTINUE
