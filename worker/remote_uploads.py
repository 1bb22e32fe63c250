"""Uploads that a server of the HTTP API has, for a worker that does not share its spool."""

from collections.abc import Collection
from http import HTTPStatus
from ipaddress import ip_network

from yarl import URL

from push_queue.jobs.sources import DELETED, GONE
from push_queue.models.source_urls import Network
from push_queue.models.uploads import upload_id_of
from push_queue.settings import Settings
from push_queue.settings.sources import variable_of
from registry_api_v2_client import (
    HttpSettings,
    RegistryError,
    Source,
    SourceMissingError,
    UrlSources,
)

_OUTCOMES: dict[int, str] = {HTTPStatus.NO_CONTENT: DELETED, HTTPStatus.NOT_FOUND: GONE}
_ANYWHERE = (ip_network("0.0.0.0/0"), ip_network("::/0"))


class RemoteUploads:
    """Reads uploads by ranges and keeps nothing of them. Close it."""

    def __init__(self, server: str, token: str | None, settings: Settings) -> None:
        self._uploads = URL(server).joinpath("api/v1/uploads")
        origin = str(self._uploads.origin()).lower()
        options = settings.url_options | {
            "places": _Below(self._uploads),
            "authorizations": {origin: f"Bearer {token}"} if token else {},
            "name_of": _setting,
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
        try:
            status = await self._sources.delete(str(self._url(source)))
        except RegistryError as error:
            return f"kept: {error}"
        return _OUTCOMES.get(status, f"kept: the server answers {status}")

    def close(self) -> None:
        self._sources.close()

    def _url(self, source: str) -> URL:
        return self._uploads.joinpath(upload_id_of(source) or "", "content")


def _setting(parameter: str) -> str:
    return variable_of("token" if parameter == "authorizations" else parameter)


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
