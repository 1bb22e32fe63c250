"""Uploads that a server of the HTTP API has, for a worker that does not share its spool."""

import asyncio
from collections.abc import Collection
from http import HTTPStatus
from ipaddress import ip_network
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from yarl import URL

from push_queue.settings import Settings
from push_queue.source_urls import Network
from push_queue.uploads import upload_id_of
from registry_api_v2_client import HttpSettings, Source, SourceMissingError, UrlSources

from .source_roots import DELETED, GONE

DELETE_SECONDS = 30.0

_ANYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


class RemoteUploads:
    """Reads uploads by ranges and keeps nothing of them. Close it."""

    def __init__(self, server: str, token: str | None, settings: Settings) -> None:
        self._uploads = URL(server).joinpath("api/v1/uploads")
        self._authorization = {"Authorization": f"Bearer {token}"} if token else {}
        options = settings.url_options | {
            "places": _Below(self._uploads),
            "authorizations": {
                str(self._uploads.origin()).lower(): value for value in self._authorization.values()
            },
        }
        self._sources = UrlSources(HttpSettings(**options))

    @classmethod
    def of(cls, settings: Settings) -> "RemoteUploads | None":
        """Those of the server in the settings; None if there is none, or the spool is here."""
        if settings.spool or not settings.server:
            return None
        token = settings.token.get_secret_value() if settings.token else None
        return cls(settings.server, token, settings)

    async def open(self, source: str) -> Source:
        """Find the upload that a job names as its source.

        Raises:
            SourceUnreadableError: it is not there, or the server refuses.
            SourceUnavailableError: the server cannot be reached, or fails.
        """
        try:
            return await self._sources.open(str(self._url(source)))
        except SourceMissingError:
            raise SourceMissingError(
                f"{source} is not on the server any more; upload it again"
            ) from None

    async def delete(self, source: str) -> str:
        """Delete the upload, unless a job needs it. Returns what happened to it."""
        return await asyncio.to_thread(self._delete, self._url(source))

    def close(self) -> None:
        self._sources.close()

    def _url(self, source: str) -> URL:
        return self._uploads.joinpath(upload_id_of(source) or "", "content")

    def _delete(self, url: URL) -> str:
        request = Request(str(url), method="DELETE", headers=self._authorization)
        try:
            with urlopen(request, timeout=DELETE_SECONDS):
                return DELETED
        except HTTPError as error:
            if error.code == HTTPStatus.NOT_FOUND:
                return GONE
            return f"kept: the server answers {error.code} {error.reason}"
        except OSError:
            return "kept: the server cannot be reached"


class _Below:
    """Allows the server that the settings name, wherever it is, and nowhere else."""

    def __init__(self, base: URL) -> None:
        self._base = base

    def networks(self, url: URL) -> Collection[Network]:
        if url.origin() != self._base.origin() or not url.raw_path.startswith(
            f"{self._base.raw_path}/"
        ):
            raise ValueError("is not one of PUSH_QUEUE_SERVER")
        return _ANYWHERE
