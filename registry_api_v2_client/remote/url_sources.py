"""Opens tars at URLs."""

import asyncio
from concurrent.futures import ThreadPoolExecutor

from yarl import URL

from ..archive.source import Source
from ..exceptions import SourceUnreadableError
from ..http.named_hosts import usable
from ..retry import RetryPolicy
from .http_connection import HttpConnection, HttpSettings
from .http_object import HttpObject, NoRangesError, open_whole
from .places import shown
from .remote_source import RemoteSource
from .spooled import SpoolFolder, spool

_MOST_OPENING = 16


class UrlSources:
    """Opens tars at ``http(s)://`` URLs. Close it when done.

    Args:
        settings: which URLs may be read, and how.
        spool: where tars are copied to that their servers give only as a whole.
        retry: when to try again while a tar is read.
    """

    def __init__(
        self,
        settings: HttpSettings,
        *,
        spool: SpoolFolder | None = None,
        retry: RetryPolicy | None = None,
    ) -> None:
        self._settings = settings
        self._spool = spool
        self._retry = retry or RetryPolicy(attempts=6)
        self._threads = ThreadPoolExecutor(_MOST_OPENING, thread_name_prefix="opening")

    async def open(self, url: str) -> Source:
        """Find the tar. It is read by ranges, or copied now where the server has none.

        Raises:
            SourceNotAllowedError: it may not be read.
            SourceUnreadableError: it is not there, or its server refuses.
            SourceUnavailableError: its server cannot be reached, or fails.
        """
        connection = HttpConnection(self._settings)
        opening = self._threads.submit(self._open, connection, _parsed(url))
        try:
            return await asyncio.wrap_future(opening)
        finally:
            connection.interrupt()

    def close(self, *, wait: bool = False) -> None:
        """Open no more; ``wait`` for threads that still do."""
        self._threads.shutdown(wait=wait, cancel_futures=True)

    def _open(self, connection: HttpConnection, url: URL) -> Source:
        try:
            return RemoteSource(HttpObject.find(connection, self._settings, url), self._retry)
        except NoRangesError as error:
            if not self._spool:
                raise SourceUnreadableError(
                    f"{error}, and there is no spool to copy it into"
                ) from None
            size, version = open_whole(connection, url)
            return spool(connection, shown(url), size, version, self._spool)
        finally:
            connection.close()


def _parsed(text: str) -> URL:
    try:
        return usable(URL(text, encoded=True))
    except ValueError:
        # The text is left out: it may hold a signature.
        raise SourceUnreadableError("the source is no http(s) URL") from None
