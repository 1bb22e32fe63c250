"""Notifications of changed jobs, by pub/sub."""

import asyncio
from typing import Self

from push_queue.redis.database import Database
from push_queue.redis.retries import RIDE_OUT_SECONDS

_ANSWER_SECONDS = 2.0
"""How long a confirmation may take before a new connection is made."""


class JobChanges:
    """A subscription to jobs, or to all of them if none is named.

    Enter it before you read a status, so that you miss no change. Messages are hints. They may be
    lost while Redis is down, so also read the status from time to time.
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

    async def __aexit__(self, *_: object) -> None:
        await self._close()

    async def next(self, timeout: float) -> str | None:
        """The id of the next job that changes.

        None if nothing changed for ``timeout`` seconds, or if a new connection had to be made and
        messages may be missing. Read the status then.
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
        # Until Redis confirms it, a change by another connection could be missed.
        unconfirmed = len(set(self._job_ids)) or 1
        async with asyncio.timeout(RIDE_OUT_SECONDS):
            while unconfirmed:
                message = await self._pubsub.get_message(timeout=_ANSWER_SECONDS)
                if message is None:
                    await self._disconnect()
                elif message["type"] in ("subscribe", "psubscribe"):
                    unconfirmed -= 1

    async def _see_to_connection(self, silent: bool) -> None:
        """Ping a silent server: it may hang, or have nothing to report."""
        if silent and self._asked:
            await self._disconnect()
        elif silent:
            await self._pubsub.ping()
        self._asked = silent and not self._asked

    async def _disconnect(self) -> None:
        """The next read makes a new connection and subscribes again."""
        if self._pubsub.connection:
            await self._pubsub.connection.disconnect(nowait=True)

    async def _close(self) -> None:
        with self._database.errors():
            await self._pubsub.aclose()  # type: ignore[no-untyped-call]
