"""Hearing of jobs as they change, by pub/sub."""

import asyncio
from types import TracebackType
from typing import Self

from push_queue.database import Database
from push_queue.patience import RIDE_OUT_SECONDS

_ANSWER_SECONDS = 2.0
"""Most that a confirmation may take, then the connection is made anew."""


class JobChanges:
    """A subscription to jobs, or to all of them when none is named.

    Enter it before reading a status, so that nothing falls between. Messages are hints: they may
    be lost while Redis is away, so read the status again now and then as well.
    """

    def __init__(self, database: Database, job_ids: tuple[str, ...] = ()) -> None:
        self._database = database
        self._pubsub = database.redis.pubsub()
        self._prefix = database.keys.progress("")
        self._job_ids = job_ids
        self._asked = False

    async def __aenter__(self) -> Self:
        try:
            with self._database.errors():
                await self._subscribe()
        except BaseException:
            await self._close()
            raise
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self._close()

    async def next(self, timeout: float) -> str | None:
        """The id of the next job that changed.

        None when ``timeout`` seconds brought nothing, or when the connection had to be made anew
        and messages may be missing: both are the time to read the status.
        """
        with self._database.errors():
            message = await self._pubsub.get_message(timeout=timeout)
            await self._see_to_connection(silent=message is None)
        if message is None or message["type"] not in self._pubsub.PUBLISH_MESSAGE_TYPES:
            return None
        channel: bytes = message["channel"]
        return channel.decode().removeprefix(self._prefix)

    async def _subscribe(self) -> None:
        if self._job_ids:
            await self._pubsub.subscribe(*(self._prefix + job_id for job_id in self._job_ids))
        else:
            await self._pubsub.psubscribe(f"{self._prefix}*")
        # Until Redis confirms it, a change that another connection makes could still be missed.
        unconfirmed = len(set(self._job_ids)) or 1
        async with asyncio.timeout(RIDE_OUT_SECONDS):
            while unconfirmed:
                message = await self._pubsub.get_message(timeout=_ANSWER_SECONDS)
                if message is None:
                    await self._disconnect()
                elif message["type"] in ("subscribe", "psubscribe"):
                    unconfirmed -= 1

    async def _see_to_connection(self, silent: bool) -> None:
        """A server that stands still is as silent as one with nothing to tell: ask it."""
        if silent and self._asked:
            await self._disconnect()
        elif silent:
            await self._pubsub.ping()
        self._asked = silent and not self._asked

    async def _disconnect(self) -> None:
        """The next read connects, and subscribes, anew."""
        if self._pubsub.connection:
            await self._pubsub.connection.disconnect(nowait=True)

    async def _close(self) -> None:
        with self._database.errors():
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]
