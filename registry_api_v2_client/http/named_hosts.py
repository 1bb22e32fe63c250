"""Which addresses a registry may name, and where secrets are sent.

A registry's answers name other addresses: the realm of its token server, the Location of an upload,
redirects, the next page of a list. Workers run inside networks that a registry must not reach
through them, and they hold secrets that are meant for one registry. Hence these rules:

Credentials
    1.  A user name, password or identity token is sent only to the registry itself and to its
        realm. A token is sent only to the registry itself: same scheme, host and port. A realm
        counts only if the registry names it, not if a host reached by a redirect does.
    2.  Where a redirect leaves the registry (another host or port, or HTTP after HTTPS), no
        authorization is sent, not even if a later redirect leads back. Cookies are never kept.
    3.  A realm is an HTTPS address. The realm of a registry spoken to over plain HTTP, which only a
        setting or a loopback address allows, may be plain HTTP if it is on the registry's own host,
        or if the settings allow plain HTTP to it, too.

Addresses
    4.  A registry may name its own host, and any public address.
    5.  An address that is not public may be named only by a registry at least as local: a private
        address (RFC 1918 and others that are not routed) by a registry at a private or loopback
        address; a loopback address by one at a loopback address; a link-local address, where clouds
        serve the secrets of their machines, by one at a link-local address. A host name counts as
        the addresses it resolves to, except behind a proxy, which resolves names itself.
    6.  Only http and https addresses are followed. A user name or password in one is dropped.

Redirects
    7.  Redirects are followed for GET and HEAD, and for others where they keep the method (307,
        308), five at most. An upload that began over HTTPS does not go on over HTTP.

A name that resolves to another address a moment later gains nothing: over HTTPS the server would
need the certificate for the name, and over HTTP no secret is sent to it.
"""

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Collection
from enum import StrEnum
from urllib.parse import quote

from yarl import URL

from ..exceptions import ProtocolError
from ..hosts import is_loopback
from ..parameter_names import NameOf

Address = ipaddress.IPv4Address | ipaddress.IPv6Address
Resolve = Callable[[URL], Awaitable[Collection[Address]]]

_LEGAL = "%:/?#[]@!$&'()*+,;=~"
"""What a URL may hold besides letters, digits and ``-._``, escapes included."""


def usable(url: URL) -> URL:
    """The address unchanged, if a request can go to it (6).

    yarl parses host and port only when they are read, and raises only then.

    Raises:
        ValueError: it is not an http(s) address.
    """
    if url.scheme not in ("http", "https") or not url.host or not url.port:
        raise ValueError(f"{url.scheme!r} address without host or port")
    return url


def joined(base: URL, address: str) -> URL:
    """The URL for an address in an answer, which may be relative to the answer's own URL.

    Legal characters stay as they are: the query may carry the registry's signed state, which has to
    come back byte for byte. Spaces and non-ASCII letters are escaped, and a fragment is dropped.

    Raises:
        ValueError: it is not an http(s) address.
    """
    escaped = quote(address, safe=_LEGAL, errors="surrogateescape")
    return usable(base.join(URL(escaped, encoded=True)).with_fragment(None))


class Zone(StrEnum):
    """How local an address is."""

    PUBLIC = "public"
    PRIVATE = "private"
    LINK_LOCAL = "link-local"
    LOOPBACK = "loopback"


_MAY_NAME = {
    Zone.PUBLIC: {Zone.PUBLIC},
    Zone.PRIVATE: {Zone.PUBLIC, Zone.PRIVATE},
    Zone.LINK_LOCAL: {Zone.PUBLIC, Zone.PRIVATE, Zone.LINK_LOCAL},
    Zone.LOOPBACK: {Zone.PUBLIC, Zone.PRIVATE, Zone.LOOPBACK},
}


_EMBEDDING = tuple(map(ipaddress.ip_network, ("64:ff9b::/96", "::ffff:0:0:0/96", "::/96")))
"""NAT64 (RFC 6052), SIIT (RFC 2765), and addresses as IPv6 began (RFC 4291, section 2.5.5.1)."""
_NOT_ROUTED = tuple(map(ipaddress.ip_network, ("64:ff9b:1::/48", "fec0::/10")))
"""NAT64 of one network (RFC 8215), and site-local addresses (RFC 3879). Not every Python knows."""


def _embedded(address: Address) -> ipaddress.IPv4Address | None:
    """The IPv4 address that an IPv6 one leads to, by whatever translates it."""
    if isinstance(address, ipaddress.IPv4Address) or address.is_loopback or address.is_unspecified:
        return None
    if any(address in network for network in _EMBEDDING):
        return ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    return address.ipv4_mapped or address.sixtofour


def zone_of(address: Address) -> Zone:
    """The zone of an address, or of the IPv4 address inside of it."""
    address = _embedded(address) or address
    # A connection to 0.0.0.0 goes to this machine.
    if address.is_loopback or address.is_unspecified:
        return Zone.LOOPBACK
    if address.is_link_local:
        return Zone.LINK_LOCAL
    if not address.is_global or address.is_multicast:
        return Zone.PRIVATE
    return Zone.PRIVATE if any(address in network for network in _NOT_ROUTED) else Zone.PUBLIC


class NamedHosts:
    """Judges the addresses that registries name, by the rules above.

    Args:
        plain_http_hosts: ``host[:port]`` that may be reached without TLS.
        resolve: the addresses that a URL leads to; none if a proxy finds them.
        name_of: how errors call a parameter.
    """

    def __init__(
        self, plain_http_hosts: Collection[str], resolve: Resolve, name_of: NameOf = str
    ) -> None:
        self._plain_http_hosts = plain_http_hosts
        self._resolve = resolve
        self._name_of = name_of

    async def realm(self, registry: URL, text: str | None) -> URL:
        """The realm of a challenge, if credentials may be sent there (3).

        Raises:
            ProtocolError: they may not.
        """
        host = registry.host_port_subcomponent
        try:
            realm = usable(URL(text or ""))
        except ValueError as error:
            raise ProtocolError(
                f"{host} asks for a token but names no token server", status=401
            ) from error
        if realm.scheme == "http" and not self._plain_http_allowed(registry, realm):
            raise ProtocolError(
                f"{host}: its token server {realm.host_port_subcomponent} does not use TLS, so no "
                f"credentials are sent there; {self._how_to_allow(registry)}",
                status=401,
            )
        await self.check(registry, realm)
        return realm.with_user(None)

    async def check(self, registry: URL, url: URL, *, sending: bool = False) -> None:
        """Whether a registry may name ``url`` (4 to 6), for an upload if ``sending`` (7).

        Raises:
            ProtocolError: it may not.
        """
        if url.scheme not in ("http", "https") or not url.host:
            raise ProtocolError(
                f"{registry.host_port_subcomponent} names an address that is not an http(s) URL",
                status=0,
            )
        if sending and registry.scheme == "https" and url.scheme == "http":
            raise ProtocolError(
                f"{registry.host_port_subcomponent} names an upload address without TLS; have "
                "the proxy in front of it send X-Forwarded-Proto: https",
                status=0,
            )
        if url.host == registry.host:
            return
        zones = set(map(zone_of, await self._resolve(url))) - {Zone.PUBLIC}
        if not zones:
            return
        own = set(map(zone_of, await self._resolve(registry)))
        # All of its addresses are checked, as a request may go to any of them.
        refused = [zone for zone in zones if not own or any(zone not in _MAY_NAME[o] for o in own)]
        if refused:
            raise ProtocolError(
                f"{registry.host_port_subcomponent} names {url.host_port_subcomponent}, "
                f"a {refused[0]} address; only a registry at such an address may name one",
                status=0,
            )

    def _plain_http_allowed(self, registry: URL, realm: URL) -> bool:
        return registry.scheme == "http" and (
            realm.host == registry.host
            or realm.host_port_subcomponent in self._plain_http_hosts
            or (_is_loopback(realm) and _is_loopback(registry))
        )

    def _how_to_allow(self, registry: URL) -> str:
        if registry.scheme == "https":
            return "have the registry name it by https://"
        hosts = self._name_of("plain_http_hosts")
        return f"name it in {hosts}, if you trust the network in between"


def _is_loopback(url: URL) -> bool:
    return is_loopback(url.host_port_subcomponent or "")


async def resolve(url: URL) -> list[Address]:
    """The addresses of a URL's host. An unknown host is not an error here: connecting will fail."""
    loop = asyncio.get_running_loop()
    try:
        found = await loop.getaddrinfo(url.host, None, type=socket.SOCK_STREAM)
    except OSError:
        return []
    return [ipaddress.ip_address(entry[4][0]) for entry in found]
