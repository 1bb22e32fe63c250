"""What keeps web pages of other origins away.

A browser on this machine can reach the loopback for any page it shows. A page under a name that
was made to resolve to the loopback (DNS rebinding) sends that name as the Host. A page of another
origin sends its Origin with all it may not read, and Sec-Fetch-Site with everything. Bodies have to
be JSON, which such a page could send only after asking, and it is not answered that it may.

With tokens a server may have any name, so the Host is not looked at: such a page has no token, and
a browser adds none by itself, as it would a cookie.
"""

from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from producer.api.context import TOKENS
from producer.api.problems import ProblemError
from registry_api_v2_client.hosts import is_loopback

_OWN_SITES = ("same-origin", "none")  # None: typed into the address bar.

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@web.middleware
async def own_origin_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a page of another origin may have sent."""
    hosts = request.headers.getall("Host", [])
    if not request.app[TOKENS] and (len(hosts) != 1 or not is_loopback(hosts[0].lower())):
        raise ProblemError(
            HTTPStatus.MISDIRECTED_REQUEST,
            "unknown-host",
            "the request names another host; use http://localhost or http://127.0.0.1",
        )
    origins = request.headers.getall("Origin", [])
    sites = request.headers.getall("Sec-Fetch-Site", [])
    own = f"{request.scheme}://{request.host}"
    if any(origin != own for origin in origins) or any(site not in _OWN_SITES for site in sites):
        raise ProblemError(
            HTTPStatus.FORBIDDEN,
            "other-origin",
            "a web page of another origin may not use this server; call it from a program",
        )
    return await handler(request)


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Have browsers neither keep an answer nor show it within another page."""
    response.headers.update(_HEADERS)
