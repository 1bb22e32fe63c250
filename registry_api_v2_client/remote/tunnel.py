"""Ways by a proxy. Source: https://www.rfc-editor.org/rfc/rfc9110#section-9.3.6"""

import base64
import http.client
import socket
from collections.abc import Mapping
from http import HTTPStatus

from yarl import URL


def open_tunnel(to_proxy: socket.socket, url: URL, headers: Mapping[str, str]) -> None:
    """Have a proxy connect the socket to the host of ``url``.

    Raises:
        OSError, http.client.HTTPException: it does not.
    """
    place = f"{url.host_subcomponent}:{url.port}"
    lines = [f"CONNECT {place} HTTP/1.1", f"Host: {place}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    to_proxy.sendall("\r\n".join([*lines, "", ""]).encode())
    with http.client.HTTPResponse(to_proxy, method="CONNECT") as response:
        response.begin()
        if response.status != HTTPStatus.OK:
            raise OSError(f"Tunnel refused: {response.status} {response.reason}")


def proxy_authorization(proxy: URL) -> dict[str, str]:
    """The header for the login in the proxy's URL, if there is one."""
    if not proxy.user:
        return {}
    user = f"{proxy.user}:{proxy.password or ''}".encode()
    return {"Proxy-Authorization": f"Basic {base64.b64encode(user).decode()}"}
