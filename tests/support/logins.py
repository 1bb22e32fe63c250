"""Who may do what at a test registry: Basic credentials and token scopes.

Scopes: https://distribution.github.io/distribution/spec/auth/scope/
"""

import base64
from dataclasses import dataclass

from aiohttp import web


@dataclass(frozen=True)
class Login:
    username: str
    password: str

    @property
    def basic(self) -> str:
        pair = f"{self.username}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"


def actions(scopes: list[str]) -> set[str]:
    """`["repository:app:pull,push"]` is `{"repository:app:pull", "repository:app:push"}`."""
    split = (scope.rpartition(":") for scope in scopes)
    return {f"{resource}:{action}" for resource, _, list_ in split for action in list_.split(",")}


def needed_scopes(request: web.Request) -> list[str]:
    """The scopes a request needs, as a challenge words them."""
    if request.path == "/v2/_catalog":
        return ["registry:catalog:*"]
    if "name" not in request.match_info:
        return []
    action = {"GET": "pull", "HEAD": "pull", "DELETE": "delete"}.get(request.method, "pull,push")
    scopes = [f"repository:{request.match_info['name']}:{action}"]
    source = request.query.get("from")
    return [*scopes, f"repository:{source}:pull"] if source else scopes
