"""Opens tars at URLs."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TypeVar

from yarl import URL

from ..archive.source import TarSource
from ..exceptions import SourceUnreadableError
from ..http.named_hosts import usable
from ..retry import RetryPolicy
from .http_connection import HttpConnection
from .http_object import HttpObject, NoRangesError, open_whole
from .http_settings import HttpSettings
from .places import shown
from .remote_source import RemoteSource
from .spooled import SpoolFolder, spool
from .stores import SCHEMES, SignedLinks

_MOST_OPENING = 16
_Result = TypeVar("_Result")


class UrlSources:
    """Opens tars at ``http(s)://`` URLs, and at ``s3://``, ``gs://`` and ``az://`` ones.

    Close it when done.

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

    async def open(self, url: str) -> TarSource:
        """Find the tar. It is read by ranges, or copied now where the server has none.

        Raises:
            SourceNotAllowedError: it may not be read.
            SourceUnreadableError: it is not there, or its server refuses.
            SourceUnavailableError: its server cannot be reached, or fails.
        """
        return await self._run(self._open, url)

    async def delete(self, url: str) -> int:
        """Ask for the tar to be deleted. Returns the status of the server's answer.

        Raises:
            SourceNotAllowedError, SourceUnreadableError, SourceUnavailableError: as ``open``.
        """
        return await self._run(_delete, url)

    def close(self, *, wait: bool = False) -> None:
        """Open no more; ``wait`` for threads that still do."""
        self._threads.shutdown(wait=wait, cancel_futures=True)

    async def _run(self, act: "Callable[[_Finding], _Result]", url: str) -> _Result:
        finding = self._finding(_parsed(url))
        acting = self._threads.submit(act, finding)
        try:
            return await asyncio.wrap_future(acting)
        finally:
            finding.connection.interrupt()

    def _finding(self, url: URL) -> "_Finding":
        if url.scheme not in SCHEMES:
            return _Finding(shown(url), lambda: url, self._settings)
        links = SignedLinks(self._settings, url)
        # The link is the authorization.
        settings = replace(self._settings, places=links, authorizations={})
        return _Finding(shown(url), links.locate, settings)

    def _open(self, finding: "_Finding") -> TarSource:
        name, locate, connection = finding.name, finding.locate, finding.connection
        try:
            found = HttpObject.find(connection, finding.settings, name, locate)
            return RemoteSource(found, self._retry)
        except NoRangesError as error:
            if not self._spool:
                raise SourceUnreadableError(
                    f"{error}, and there is no spool to copy it into"
                ) from None
            size, version = open_whole(connection, finding.settings, name, locate())
            return spool(connection, name, size, version, self._spool)
        finally:
            connection.close()


class _Finding:
    """A tar that is looked for, and the connection by which that is done."""

    def __init__(self, name: str, locate: Callable[[], URL], settings: HttpSettings) -> None:
        self.name = name
        self.locate = locate
        self.settings = settings
        self.connection = HttpConnection(settings)


def _delete(finding: _Finding) -> int:
    try:
        return finding.connection.delete(finding.locate())
    finally:
        finding.connection.close()


def _parsed(text: str) -> URL:
    try:
        url = URL(text, encoded=True)
        return url if url.scheme in SCHEMES and url.host else usable(url)
    except ValueError:
        # The text is left out: it may hold a signature.
        raise SourceUnreadableError("the source is no URL that can be read") from None
