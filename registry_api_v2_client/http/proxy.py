"""The proxies that ``HTTP_PROXY``, ``HTTPS_PROXY``, ``ALL_PROXY`` and ``NO_PROXY`` name."""

import ipaddress
from urllib.request import getproxies_environment

from yarl import URL

from ..exceptions import ValidationError
from ..hosts import is_loopback


class Proxies:
    """The proxies that the environment names when this is made.

    ``NO_PROXY`` is a list, separated by commas: ``*``, hosts (with all names below them) and
    addresses, with or without a port, and networks such as ``10.0.0.0/8``. Loopback needs no entry.

    Raises:
        ValidationError: a proxy is not an http(s) URL.
    """

    def __init__(self) -> None:
        environment = getproxies_environment()
        self._no_proxy = [item.strip() for item in environment.get("no", "").split(",")]
        self._proxies = {
            scheme: _proxy(scheme, environment.get(scheme) or environment.get("all"))
            for scheme in ("http", "https")
        }

    def find(self, url: URL) -> URL | None:
        """The proxy for a URL; None means a direct connection."""
        proxy = self._proxies.get(url.scheme)
        return proxy if proxy and not self._is_direct(url) else None

    def _is_direct(self, url: URL) -> bool:
        return is_loopback(url.host_port_subcomponent or "") or any(
            _covers(item, url) for item in self._no_proxy
        )


def _proxy(scheme: str, text: str | None) -> URL | None:
    if not text:
        return None
    try:
        proxy = URL(text if "://" in text else f"http://{text}")
    except ValueError:
        proxy = URL()
    if proxy.scheme not in ("http", "https") or not proxy.host:
        # The text is left out: it may hold a password.
        raise ValidationError(
            f"{scheme.upper()}_PROXY is not the address of a proxy; write http://host:port"
        )
    return proxy


def _covers(item: str, url: URL) -> bool:
    """Whether an item of ``NO_PROXY`` covers a URL's host."""
    host = url.host or ""
    if item in ("*", host, url.host_port_subcomponent, f"{url.host_subcomponent}:{url.port}"):
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(item, strict=False)
    except ValueError:
        name, _, port = item.lower().lstrip("*").lstrip(".").partition(":")
        return bool(name) and f".{host}".endswith(f".{name}") and port in ("", str(url.port))
