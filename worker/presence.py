"""Reports that this worker is alive, in ``push:worker:{id}``."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime

from push_queue.errors import RedisDeniedError, RedisUnavailableError
from push_queue.models.fleet import WorkerInfo
from push_queue.version import own_version
from push_queue.worker_roster import WorkerRoster

from .periodic import Periodic

logger = logging.getLogger(__name__)

_INTERVAL = 5.0
_TTL = 15


class Presence:
    """Reports the worker every few seconds, with its jobs and its problems."""

    def __init__(self, roster: WorkerRoster, worker_id: str, max_jobs: int = 0) -> None:
        self._jobs: set[str] = set()
        self.problems: dict[str, str] = {}
        """Current failures by the name of the duty."""
        self.heeds = False
        """Whether the worker heeds pauses."""
        self.fleet = 1
        """How many workers are alive, this one included."""
        self._roster = roster
        self._worker_id = worker_id
        self._max_jobs = max_jobs
        self._started_at = datetime.now(UTC)
        self._reports = Periodic(_INTERVAL, self._report_again)

    @property
    def running(self) -> int:
        """The number of jobs that this worker runs."""
        return len(self._jobs)

    @contextmanager
    def of(self, job_id: str) -> Iterator[None]:
        """The time for which this worker runs the job."""
        self._jobs.add(job_id)
        try:
            yield
        finally:
            self._jobs.discard(job_id)

    async def start(self) -> None:
        """Report now, and from now on. The worker is known once this returns.

        Raises:
            RedisDeniedError: Redis refuses the login, or a right is missing.
        """
        try:
            await self._report()
        except RedisDeniedError:
            raise
        except RedisUnavailableError as error:
            _warn(error)
        self._reports.start()

    async def stop(self) -> None:
        await self._reports.stop()
        with suppress(RedisUnavailableError):
            await self._roster.remove(self._worker_id)

    async def _report_again(self) -> None:
        try:
            await self._report()
        except RedisUnavailableError as error:
            _warn(error)

    async def _report(self) -> None:
        info = WorkerInfo(
            id=self._worker_id,
            host=socket.gethostname(),
            pid=os.getpid(),
            version=own_version(),
            started_at=self._started_at,
            running=self.running,
            max_jobs=self._max_jobs,
            jobs=tuple(sorted(self._jobs)),
            heeds=self.heeds,
            problem="; ".join(f"{name}: {problem}" for name, problem in self.problems.items()),
        )
        self.fleet = await self._roster.report(info, ttl=_TTL)


def _warn(error: RedisUnavailableError) -> None:
    logger.warning("cannot report to Redis: %s", error)
