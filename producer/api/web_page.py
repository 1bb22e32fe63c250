"""The page at ``/``: files of this package, which hold nothing of the queue.

What the page shows it asks the API for. Its scripts and styles come from here alone, and none
stands in the markup, so that nothing a job says can run in it.
"""

import hashlib
from collections.abc import Iterator
from functools import partial
from http import HTTPStatus
from importlib.resources import files

from aiohttp import ETag, web

from producer.api.access.browsers import PAGE

FILES = files("producer.api") / "page"

_MEDIA_TYPES = {
    "html": "text/html",
    "css": "text/css",
    "js": "text/javascript",
}

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        "img-src 'self' data:",
        "form-action 'self'",
        "base-uri 'none'",
        "frame-ancestors 'none'",
    )
)


def page_routes() -> Iterator[web.RouteDef]:
    """A path for each file of the page; ``index.html`` is at ``/``."""
    for file in FILES.iterdir():
        path = PAGE if file.name == "index.html" else f"/page/{file.name}"
        yield web.get(path, partial(_send, *_read(file.name)))


def _read(name: str) -> tuple[bytes, str, str]:
    """The content of a file, its media type and its entity tag."""
    content = (FILES / name).read_bytes()
    media_type = _MEDIA_TYPES[name.rpartition(".")[2]]
    return content, media_type, hashlib.sha256(content).hexdigest()[:32]


async def _send(content: bytes, media_type: str, tag: str, request: web.Request) -> web.Response:
    headers = {
        # Kept, and asked for each time whether it is still the same: a server may be upgraded.
        "Cache-Control": "no-cache",
        "Content-Security-Policy": _POLICY,
        "Referrer-Policy": "no-referrer",
    }
    known = request.if_none_match or ()
    if any(etag.value in (tag, "*") for etag in known):
        response = web.Response(status=HTTPStatus.NOT_MODIFIED, headers=headers)
    else:
        response = web.Response(
            body=content, content_type=media_type, charset="utf-8", headers=headers
        )
    response.etag = ETag(tag)
    return response
