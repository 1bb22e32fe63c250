"""Which URLs may be read, and at which addresses."""

import ipaddress
from collections.abc import Collection
from typing import Protocol

from yarl import URL

from ..exceptions import SourceNotAllowedError
from ..http.named_hosts import Zone, zone_of

Network = ipaddress.IPv4Network | ipaddress.IPv6Network


class Places(Protocol):
    """Decides which URLs may be read."""

    def networks(self, url: URL) -> Collection[Network]:
        """The networks that the URL may lead into, besides public addresses.

        Raises:
            ValueError: it may not be read; the message says why.
        """
        ...


def shown(url: URL) -> str:
    """The URL in messages: without a query, which may carry a signature."""
    return str(url.with_query(None).with_fragment(None).with_user(None))


def networks_of(places: Places, url: URL, *, named_by: URL | None = None) -> Collection[Network]:
    """The networks that the URL, to which maybe another has redirected, may lead into.

    Raises:
        SourceNotAllowedError: it may not be read.
    """
    try:
        return places.networks(url)
    except ValueError as error:
        via = f"{shown(named_by)} redirects to " if named_by else ""
        raise SourceNotAllowedError(f"{via}{shown(url)}: {error}") from None


def may_connect(address: str, networks: Collection[Network]) -> bool:
    """Whether a socket may be connected to the address."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address) and found.ipv4_mapped:
        found = found.ipv4_mapped
    return zone_of(found) is Zone.PUBLIC or any(found in network for network in networks)


def check_address(url: URL, address: str, networks: Collection[Network]) -> None:
    """Check an address that ``url`` leads to.

    Raises:
        SourceNotAllowedError: no socket may be connected to it.
        ValueError: it is no address.
    """
    if not may_connect(address, networks):
        raise SourceNotAllowedError(
            f"{shown(url)} leads to {address}, which is no public address; it has to be allowed "
            "by name, as its network"
        )
