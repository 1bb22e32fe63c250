"""The progress of running jobs, read from Redis once a second for all followers."""

import asyncio
from collections.abc import Callable
from typing import NamedTuple

from producer.api.events.stream import message
from producer.queue_reader import QueueReader
from push_queue.errors import RedisUnavailableError
from push_queue.models.job_status import JobProgress

PROGRESS_SECONDS = 1.0
"""The shortest time between two messages of one job."""
MOST_TOLD = 500
"""Running jobs whose progress is told, the last enqueued ones; a state is told of all."""


class _Told(NamedTuple):
    number: int
    progress: JobProgress
    message: bytes


class ProgressBoard:
    """The latest progress of each running job.

    A follower keeps only a number. A slow one misses what is outdated by then.
    """

    def __init__(self, queue: QueueReader, tell: Callable[[], None]) -> None:
        self._queue = queue
        self._tell = tell
        self._told: dict[str, _Told] = {}
        self.number = 0
        """A number that grows with each change."""

    async def run(self, wanted: Callable[[], bool]) -> None:
        """Read until cancelled, while it is ``wanted``."""
        while True:
            await asyncio.sleep(PROGRESS_SECONDS)
            if wanted():
                try:
                    self._put(await self._queue.running(MOST_TOLD))
                except RedisUnavailableError:
                    continue

    def after(self, number: int, owns: Callable[[tuple[str, ...]], bool]) -> bytes:
        """The messages that are newer than this ``number``, all in one.

        Only of jobs with targets that the caller ``owns``.
        """
        return b"".join(
            told.message
            for told in self._told.values()
            if told.number > number and owns(told.progress.targets)
        )

    def of(self, job_id: str, number: int) -> bytes:
        """The job's message if it is newer than this ``number``, else nothing."""
        told = self._told.get(job_id)
        return told.message if told and told.number > number else b""

    def _put(self, running: tuple[JobProgress, ...]) -> None:
        number = self.number + 1
        before, self._told = self._told, {}
        for progress in running:
            told = before.get(progress.id)
            if not told or told.progress != progress:
                told = _Told(number, progress, message("progress", progress))
                self.number = number
            self._told[progress.id] = told
        if self.number == number:
            self._tell()
