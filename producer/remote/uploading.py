"""Uploads a source, and resumes after cuts until all of it has arrived."""

import asyncio
import hashlib
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress

from aiohttp import ClientError

from producer.api.models.uploads import UploadStatus
from producer.errors import (
    ServerRefusedError,
    ServerUnavailableError,
    UploadDigestError,
    UploadError,
)
from producer.remote.requests import Patience, Requests, read
from producer.remote.upload_source import Part, UploadSource
from push_queue.errors import QueueError

CUT_SECONDS = 120.0
"""How long an upload without progress is retried."""
STILL_SECONDS = 300.0
"""After which a connection is given up that takes nothing. A server that was killed reads
again what it has first."""
GIVE_UP_SECONDS = 5.0
"""How long to try to delete an upload that cannot go on."""

OnProgress = Callable[[int, int | None], None]
"""Called with the bytes that were sent, and with all if it is known how many."""

_BUSY = "upload-busy"
_GO_ON = frozenset({"mismatching-upload-offset", _BUSY})
"""Refusals after which it goes on where it ends: a request that was cut may be under way yet."""


class Uploading:
    """One upload."""

    def __init__(self, requests: Requests, source: UploadSource, on_progress: OnProgress) -> None:
        self._requests = requests
        self._source = source
        self._on_progress = on_progress
        self._digest = hashlib.sha256()
        self._hashed = 0
        self._failure: UploadError | None = None

    async def run(self) -> str:
        """What a job names as its source.

        Raises:
            UploadError: the source cannot be read, or other bytes have arrived.
            ServerUnavailableError: the server was away for too long.
            ServerRefusedError: it does not take the upload.
        """
        length = self._source.length
        headers = {} if length is None else {"Upload-Length": str(length)}
        # One that is sent twice leaves an empty upload, which expires.
        new = await self._requests.ask_for(UploadStatus, "POST", "uploads", headers=headers)
        path = f"uploads/{new.id}"
        try:
            upload = await self._send_all(path)
        except (QueueError, asyncio.CancelledError):
            # Nobody else knows its name, so nobody could go on with it.
            await give_up(self._requests, path)
            raise
        mine = f"sha256:{self._digest.hexdigest()}"
        if upload.digest != mine:
            await give_up(self._requests, path)
            raise UploadDigestError(
                f"{self._source.name}: what arrived is {upload.digest}, what was read {mine}; "
                "was it written to meanwhile? Upload it again"
            )
        return upload.source

    async def _send_all(self, path: str) -> UploadStatus:
        """The upload once it is complete."""
        patience = Patience(CUT_SECONDS)
        offset, sure = 0, True
        while True:
            try:
                if sure:
                    upload = await self._send(path, offset, await self._source.part(offset))
                else:
                    upload = await self._requests.ask_for(UploadStatus, "GET", path, riding=False)
            except (ClientError, TimeoutError, ServerUnavailableError) as error:
                if self._failure:
                    raise self._failure from None
                await patience.wait(self._requests.unavailable(error))
                sure = False
            except ServerRefusedError as error:
                if error.kind not in _GO_ON:
                    raise
                await patience.wait(error)
                sure = False
            else:
                if upload.complete:
                    return upload
                if upload.offset > offset:
                    patience.renew()
                offset, sure = upload.offset, True

    async def _send(self, path: str, offset: int, part: Part) -> UploadStatus:
        headers = {
            "Upload-Offset": str(offset),
            "Upload-Complete": "?1" if part.last else "?0",
            "Content-Length": str(part.size),
            "Content-Type": "application/partial-upload",
        }
        async with asyncio.timeout(STILL_SECONDS) as still:
            body = self._watched(offset, part, still)
            async with self._requests.session.patch(
                self._requests.url(path), data=body, headers=headers, allow_redirects=False
            ) as answer:
                return self._requests.parsed(UploadStatus, await read(answer))

    async def _watched(
        self, offset: int, part: Part, still: asyncio.Timeout
    ) -> AsyncGenerator[bytes, None]:
        """The bytes, each hashed once, however often they are sent."""
        clock = asyncio.get_running_loop().time
        position = offset
        try:
            async for block in part.blocks():
                new = max(self._hashed - position, 0)
                # Not in a thread: a cut may come while that is at it.
                self._digest.update(memoryview(block)[new:])
                position += len(block)
                self._hashed = max(self._hashed, position)
                yield block
                still.reschedule(clock() + STILL_SECONDS)
                self._on_progress(position, self._source.length)
        except UploadError as error:
            # The request ends in an error of its own.
            self._failure = error
            raise


async def give_up(requests: Requests, path: str) -> None:
    """Leave nothing of the upload behind, if the server can be reached at once."""
    with suppress(TimeoutError, ServerRefusedError, ServerUnavailableError, UploadError):
        async with asyncio.timeout(GIVE_UP_SECONDS):
            await _delete(requests, path)


async def _delete(requests: Requests, path: str) -> None:
    patience = Patience(GIVE_UP_SECONDS)
    while True:
        try:
            await requests.ask("DELETE", path, riding=False)
        except ServerRefusedError as error:
            if error.kind != _BUSY:
                raise
            # The server has yet to notice that the request which was cut has ended.
            await patience.wait(error)
        else:
            return
