"""Who calls, and what they may do.

A caller sends a token as ``Authorization: Bearer …`` (RFC 6750) and in no other way: a URL would
stand in logs, and a cookie would be sent by a browser for any page. Without tokens in the settings,
only this machine can call, and everybody on it is an admin.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from hmac import compare_digest
from http import HTTPStatus

from aiohttp import web
from aiohttp.typedefs import Handler

from producer.api.context import TOKENS
from producer.api.problems import ProblemError
from push_queue.api_tokens import ApiToken, Role, hash_of
from push_queue.target_patterns import fits
from registry_api_v2_client.exceptions import ValidationError
from registry_api_v2_client.reference import parse_reference

_CHALLENGE = 'Bearer realm="push-queue"'


@dataclass(frozen=True, slots=True)
class Caller:
    """Who sent a request."""

    name: str | None
    """That of the token; None where there are no tokens."""
    role: Role
    targets: tuple[str, ...] = ()
    """Patterns of the repositories that it may use; an admin may use all."""

    @property
    def has_all(self) -> bool:
        """Whether it may see and change every job."""
        return self.role is Role.ADMIN

    def foreign(self, targets: Iterable[str]) -> list[str]:
        """Those of the targets that it may not use."""
        if self.has_all:
            return []
        return [target for target in targets if not fits(_name_of(target), self.targets)]

    def owns(self, targets: tuple[str, ...]) -> bool:
        """Whether it may see and change a job with these targets: it may use all of them."""
        return self.has_all or (bool(targets) and not self.foreign(targets))


EVERYBODY = Caller(None, Role.ADMIN)

_CALLER = web.RequestKey("caller", Caller)


def caller_of(request: web.Request) -> Caller:
    """Who sent the request to a guarded handler."""
    return request[_CALLER]


def name_of_caller(request: web.BaseRequest) -> str | None:
    """Who sent the request, if that is known by name."""
    caller = request.get(_CALLER)
    return caller.name if caller else None


def guarded(handler: Handler, role: Role) -> Handler:
    """The handler for those who have this role."""

    @wraps(handler)
    async def guard(request: web.Request) -> web.StreamResponse:
        tokens = request.app[TOKENS]
        caller = _identify(request, tokens) if tokens else EVERYBODY
        if not caller.role.includes(role):
            raise ProblemError(
                HTTPStatus.FORBIDDEN,
                "role-missing",
                f"token {caller.name} has the role {caller.role}; this needs {role}",
                headers=_challenge("insufficient_scope"),
            )
        request[_CALLER] = caller
        return await handler(request)

    return guard


def _identify(request: web.Request, tokens: Mapping[str, ApiToken]) -> Caller:
    given = request.headers.getall("Authorization", [])
    if not given:
        raise ProblemError(
            HTTPStatus.UNAUTHORIZED,
            "token-missing",
            "the token is missing; send it as Authorization: Bearer TOKEN",
            headers={"WWW-Authenticate": _CHALLENGE},
        )
    scheme, _, token = given[0].partition(" ")
    if len(given) == 1 and scheme.lower() == "bearer":
        presented = hash_of(token.strip())
        # All are compared, each in constant time: how long it takes says nothing of a hash.
        found = [
            Caller(name, known.role, known.targets)
            for name, known in tokens.items()
            if compare_digest(presented, known.sha256)
        ]
        if found:
            return found[0]
    raise ProblemError(
        HTTPStatus.UNAUTHORIZED,
        "token-unknown",
        "no such token; send one that is in PUSH_QUEUE_API_TOKENS as Authorization: Bearer TOKEN",
        headers=_challenge("invalid_token"),
    )


def _challenge(error: str) -> dict[str, str]:
    return {"WWW-Authenticate": f'{_CHALLENGE}, error="{error}"'}


def _name_of(target: str) -> str:
    """What patterns are held against; empty, which none fits, if it is no target."""
    try:
        return parse_reference(target).name
    except ValidationError:
        return ""
