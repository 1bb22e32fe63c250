"""Which kind of request a URL is for: a label of few values."""

import re
from functools import lru_cache

from yarl import URL

ELSEWHERE = "elsewhere"
OTHER = "other"

# The ends of paths: a repository may be called `blobs/uploads`.
# https://github.com/opencontainers/distribution-spec/blob/main/spec.md#endpoints
_ROUTES = (
    ("upload", re.compile(r"/blobs/uploads/[^/]*$")),
    ("blob", re.compile(r"/blobs/[^/]+$")),
    ("manifest", re.compile(r"/manifests/[^/]+$")),
    ("tags", re.compile(r"/tags/list$")),
    ("referrers", re.compile(r"/referrers/[^/]+$")),
    ("catalog", re.compile(r"/_catalog$")),
    ("base", re.compile(r"/v2/?$")),
)


def route_of(url: URL, registry: URL) -> str:
    """``upload``, ``blob``, ``manifest`` …; ``elsewhere`` if it goes to another host."""
    if url.origin() != registry.origin():
        return ELSEWHERE
    return _route_of_path(url.raw_path)


@lru_cache(maxsize=256)
def _route_of_path(path: str) -> str:
    return next((name for name, ending in _ROUTES if ending.search(path)), OTHER)
