"""One registry, by the sections of its HTTP API."""

from contextlib import suppress

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

    ``quirks`` are its known deviations. Each section of the API has an attribute: ``blobs``,
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
        """The host as references name it. Docker Hub's API is at another host."""
        return self._endpoint.name

    async def ping(self) -> None:
        """``GET /v2/``. A registry that asks for authentication counts as up, too.

        Raises:
            RegistryError: no answer, or one that does not come from a registry.
        """
        with suppress(UnauthorizedError):
            await self.sign_in()

    async def sign_in(self) -> None:
        """``GET /v2/``, which says whether the registry takes the login for it.

        Raises:
            UnauthorizedError: it does not, or wants one and there is none.
            RegistryError: as ``ping``.
        """
        async with self._endpoint.request("GET", "/v2/", scope="", what="/v2/", ok={200}):
            return
