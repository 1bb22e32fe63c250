"""What keeps web pages of other origins away.

A browser on this machine can reach the loopback for any page it shows. A page under a name that
was made to resolve to the loopback (DNS rebinding) sends that name as the Host. A page of another
origin sends its Origin with all it may not read, and Sec-Fetch-Site with everything. Bodies have to
be JSON, which such a page could send only after asking, and it is not answered that it may.

With tokens a server may have any name, so the Host is not looked at: such a page has no token, and
the browser sends the cookie of a login under the name alone under which it was made.
"""

from http import HTTPMethod

from aiohttp import web
from aiohttp.typedefs import Handler

from producer.api.access.keys import OPEN
from producer.api.problem_types import ProblemType
from producer.api.problems import ProblemError
from registry_api_v2_client.hosts import is_loopback

PAGE = "/"
"""The path of the page for people."""

_OWN_SITES = ("same-origin", "none")  # None: typed into the address bar.

_SAFE_METHODS = (HTTPMethod.GET, HTTPMethod.HEAD, HTTPMethod.OPTIONS)

_HEADERS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Cross-Origin-Resource-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}


@web.middleware
async def own_origin_only(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Refuse what a page of another origin may have sent."""
    if request.app[OPEN] and not _names_loopback(request):
        raise ProblemError(
            ProblemType.UNKNOWN_HOST,
            "the request names another host; use http://localhost or http://127.0.0.1",
        )
    origins = request.headers.getall("Origin", [])
    sites = request.headers.getall("Sec-Fetch-Site", [])
    # A proxy may speak TLS for this server.
    own = (f"http://{request.host}", f"https://{request.host}")
    own_site = set(sites) <= set(_OWN_SITES) or _is_link(request)
    if not (set(origins) <= set(own) and own_site):
        raise _other_origin()
    return await handler(request)


def _names_loopback(request: web.Request) -> bool:
    """Whether it is for this machine by all that it says: a whole URL counts more than ``Host``."""
    hosts = request.headers.getall("Host", [])
    return len(hosts) == 1 and all(is_loopback(name.lower()) for name in (*hosts, request.host))


def _is_link(request: web.Request) -> bool:
    """Whether a link of any page leads to ours, which holds nothing and stands in no other."""
    headers = request.headers
    return (
        request.path == PAGE
        and request.method in _SAFE_METHODS
        and headers.get("Sec-Fetch-Mode") == "navigate"
        and headers.get("Sec-Fetch-Dest") == "document"
    )


def check_own_page(request: web.Request) -> None:
    """Refuse a change that nothing shows to be asked for by a page of this server.

    For requests with a cookie, which a browser sends with requests of any page. All browsers send
    one of the headers with such a request.

    Raises:
        ProblemError: neither header is there; ``own_origin_only`` has looked at what they say.
    """
    if request.method in _SAFE_METHODS or "Origin" in request.headers:
        return
    if request.headers.get("Sec-Fetch-Site") != "same-origin":
        raise _other_origin()


def _other_origin() -> ProblemError:
    return ProblemError(
        ProblemType.OTHER_ORIGIN,
        "a web page of another origin may not use this server; call it from a program",
    )


async def add_headers(_: web.Request, response: web.StreamResponse) -> None:
    """Have browsers neither keep an answer nor show it in another page, unless it says so."""
    for name, value in _HEADERS.items():
        response.headers.setdefault(name, value)
