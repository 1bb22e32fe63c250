"""What the OpenAPI document says of answers."""

import re
from functools import cache

from producer.api.openapi import describe
from producer.api.routes import ROUTES

_NOT_TOLD = 500
"""That something of ours fails is in no document."""


@cache
def _operations(*, with_tokens: bool) -> dict[tuple[str, re.Pattern[str]], frozenset[int]]:
    """The statuses of each method and path; those without parameters first."""
    paths = describe(ROUTES, "0", with_tokens=with_tokens)["paths"]
    return {
        (method.upper(), re.compile(re.sub(r"\{\w+\}", "[^/]+", path))): frozenset(
            map(int, operation["responses"])
        )
        for path in sorted(paths, key=lambda path: "{" in path)
        for method, operation in paths[path].items()
    }


def check_documented(method: str, path: str, status: int, *, with_tokens: bool) -> None:
    """Fail if an answer to this request has a status that the document does not have for it."""
    asked = "GET" if method == "HEAD" else method
    for (known, pattern), statuses in _operations(with_tokens=with_tokens).items():
        if known == asked and pattern.fullmatch(path):
            assert status in statuses or status == _NOT_TOLD, f"{method} {path} answers {status}"
            return
