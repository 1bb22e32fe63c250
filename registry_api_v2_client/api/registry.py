"""One registry, by the sections of its HTTP API."""

from yarl import URL

from ..exceptions import UnauthorizedError
from .blobs import Blobs
from .catalog import Catalog
from .manifests import Manifests
from .requests import Endpoint
from .transport import Transport
from .upload_quirks import Quirks, quirks_of
from .uploads import Uploads


class Registry:
    """One registry at ``url``, over a transport that may be shared with others.

    ``quirks`` is what is known of it beforehand. Each section says its requests: ``blobs``,
    ``uploads``, ``manifests`` and ``catalog``.
    """

    def __init__(
        self, transport: Transport, url: str | URL, *, quirks: Quirks | None = None
    ) -> None:
        self._endpoint = endpoint = Endpoint(transport, URL(url))
        self.blobs = Blobs(endpoint)
        self.uploads = Uploads(endpoint, quirks or quirks_of(endpoint.host))
        self.manifests = Manifests(endpoint)
        self.catalog = Catalog(endpoint)

    @property
    def url(self) -> URL:
        return self._endpoint.url

    @property
    def host(self) -> str:
        """``host[:port]`` of the API."""
        return self._endpoint.host

    @property
    def name(self) -> str:
        """The host as references name it, which for Docker Hub is not where its API is."""
        return self._endpoint.name

    async def ping(self) -> None:
        """Ask for ``/v2/``; a registry that wants authentication is there, too.

        Raises:
            RegistryError: no answer, or not that of a registry.
        """
        try:
            async with self._endpoint.request("GET", "/v2/", scope="", what="/v2/", ok={200}):
                return
        except UnauthorizedError:
            return
