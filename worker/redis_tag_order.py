"""The order in which jobs write a tag: the job enqueued last wins, whichever finishes last."""

import asyncio
import logging
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

from push_queue.errors import RedisUnavailableError
from push_queue.jobs.tag_turns import TagTurns
from push_queue.jobs.tag_writes import TagWrite
from push_queue.models.assignments import Assignment, Turn
from registry_api_v2_client import ResponseError, TagTurn

from .errors import DeferError, JobLostError
from .periodic import renewals

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
"""The time between two looks at another job's turn, which lasts for a request."""


class RedisTagOrder:
    """``TagOrder`` for one attempt of a job. A turn is a lease of ``seconds``.

    Writes that may arrive after their turn are noted in Redis, and ``TagRepair`` repairs the tag.
    """

    def __init__(self, turns: TagTurns, assignment: Assignment, seconds: float) -> None:
        self._turns = turns
        self._assignment = assignment
        self._seconds = seconds

    @asynccontextmanager
    async def turn(self, reference: str, digest: str) -> AsyncIterator[TagTurn | None]:
        """See ``TagOrder``.

        Raises:
            JobLostError: the job runs elsewhere by now.
            DeferError: this process was suspended for longer than its turn.
        """
        write = TagWrite(reference, digest, self._assignment.sequence)
        turn = await self._take(write)
        if turn is None:
            logger.info("%s is superseded", reference)
            yield None
            return
        try:
            async with renewals(self._seconds, lambda: self._renew(write, turn)):
                yield turn
        except BaseException:
            await self._turns.end(self._assignment, write, written=False, settled=turn.settled)
            raise
        if not await self._turns.end(self._assignment, write, written=True, settled=turn.settled):
            raise too_slow(reference)

    async def _take(self, write: TagWrite) -> "_Turn | None":
        while True:
            turn = _Turn(write.target, self._seconds)
            match await self._turns.take(self._assignment, write, self._seconds):
                case Turn.WRITE:
                    return turn
                case Turn.SUPERSEDED:
                    return None
                case Turn.LOST:
                    raise JobLostError
            await asyncio.sleep(_LOOK_SECONDS)

    async def _renew(self, write: TagWrite, turn: "_Turn") -> None:
        ends = turn.next_end()
        try:
            if await self._turns.renew(write, self._seconds):
                turn.ends = ends
        except RedisUnavailableError as error:
            logger.warning("the turn at %s is not renewed: %s", write.target, error)


class _Turn:
    """``TagTurn``. It ends by this process's own clock, and nothing is sent after that."""

    def __init__(self, reference: str, seconds: float) -> None:
        self._reference = reference
        self._seconds = seconds
        self._loop = asyncio.get_running_loop()
        self.ends = self.next_end()
        self.settled = True
        """Whether the registry has answered every request."""

    def next_end(self) -> float:
        """When it expires if it is taken or renewed now."""
        return self._loop.time() + self._seconds

    @contextmanager
    def write(self) -> Iterator[None]:
        if self._loop.time() >= self.ends:
            raise too_slow(self._reference)
        try:
            yield
        except BaseException as error:
            self.settled = self.settled and is_answer(error)
            raise


def is_answer(error: BaseException) -> bool:
    """Whether the registry itself has answered, so that the request cannot arrive later.

    A gateway's 502 or 504 leaves that open, and a 500 may come after the tag was written.
    """
    return isinstance(error, ResponseError) and 200 <= error.status < 500


def too_slow(reference: str) -> DeferError:
    return DeferError(f"{reference} was written too slowly to be sure of it", 0.0)
