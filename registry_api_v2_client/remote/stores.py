"""Objects of S3, Google Cloud Storage and Azure: read over HTTPS by links that are signed here.

The worker signs with the options that it is given for a bucket, and with what it finds, as the
tools of these stores do: variables such as ``AWS_ACCESS_KEY_ID``, or the role of its machine.
Source: https://developmentseed.org/obstore/latest/authentication/
"""

import ipaddress
from collections.abc import Collection, Mapping
from datetime import timedelta
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from yarl import URL

from ..exceptions import SourceUnavailableError, SourceUnreadableError
from ..parameter_names import NameOf
from .http_settings import HttpSettings
from .places import Network, networks_of, shown

if TYPE_CHECKING:
    from obstore.store import ClientConfig, RetryConfig

SCHEMES = ("s3", "gs", "az")

_VALID = timedelta(hours=1)
"""How long a link is valid; an expired one is signed again."""
_RETRY: "RetryConfig" = {"max_retries": 2, "retry_timeout": timedelta(seconds=20)}
_TIMEOUTS: "ClientConfig" = {"connect_timeout": "5s", "timeout": "10s"}
"""Of who is asked for credentials."""
_EVERYWHERE = (ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0"))


class SignedLinks:
    """Links to one object, and the leave to follow them. The operator says where a store is."""

    def __init__(self, settings: HttpSettings, url: URL) -> None:
        self._places = settings.places
        self._url = url
        self._options = settings.stores.get(f"{url.scheme}://{url.raw_host}", {})
        self._name_of = settings.name_of
        self._origin: URL | None = None

    def locate(self) -> URL:
        """A new link. Blocking.

        Raises:
            SourceNotAllowedError: the object may not be read.
            SourceUnreadableError: obstore is not installed, or does not know an option.
            SourceUnavailableError: there are no credentials to sign with.
        """
        networks_of(self._places, self._url)
        link = _signed(self._url, self._options, self._name_of)
        self._origin = link.origin()
        return link

    def networks(self, url: URL) -> Collection[Network]:
        return _EVERYWHERE if url.origin() == self._origin else self._places.networks(url)


def _signed(url: URL, options: Mapping[str, str], name_of: NameOf) -> URL:
    name = shown(url)
    try:
        import obstore
        from obstore.exceptions import BaseError, UnknownConfigurationKeyError
        from obstore.store import AzureStore, GCSStore, S3Store
    except ImportError:
        raise SourceUnreadableError(f"{name}: to read it, install the extra `stores`") from None
    stores: dict[str, type[S3Store] | type[GCSStore] | type[AzureStore]]
    stores = {"s3": S3Store, "gs": GCSStore, "az": AzureStore}
    try:
        kind = stores[url.scheme]
        config: Any = dict(options)
        store = kind(url.raw_host, config=config, client_options=_TIMEOUTS, retry_config=_RETRY)
        link = obstore.sign(store, "GET", unquote(url.raw_path.lstrip("/")), _VALID)
    except UnknownConfigurationKeyError:
        raise SourceUnreadableError(
            f"{name}: {name_of('stores')} has an option for its bucket that obstore does not know"
        ) from None
    except (BaseError, ValueError) as error:
        # What it says may have many lines, and parts of credentials.
        raise SourceUnavailableError(
            f"{name}: no link can be signed ({type(error).__name__}); give credentials "
            f"for the store, in {name_of('stores')} or such as AWS_ACCESS_KEY_ID"
        ) from error
    return URL(link, encoded=True)
