"""Who sent a request, and whether their role is enough.

A program sends its token as ``Authorization: Bearer …`` (RFC 6750) and in no other way: a URL would
appear in logs. A browser that has logged in sends the cookie of its session. It would do so for any
page, so a change that is requested with a cookie must come from a page of this server.
"""

from collections.abc import Mapping
from functools import wraps
from hmac import compare_digest

from aiohttp import web
from aiohttp.typedefs import Handler

from producer.api.access.browsers import check_own_page
from producer.api.access.callers import EVERYBODY, Caller, note_caller
from producer.api.access.keys import LIMITS, OIDC, OPEN, SESSIONS, TOKENS
from producer.api.access.refusals import forbidden, missing_token, unauthorized
from producer.api.connections import keep_connection
from producer.api.problem_types import ProblemType
from push_queue.settings.api_tokens import ApiToken, Role, hash_of

COOKIE = "push-queue-session"


def guarded(handler: Handler, role: Role) -> Handler:
    """The handler, for callers with this role."""

    @wraps(handler)
    async def guard(request: web.Request) -> web.StreamResponse:
        caller = EVERYBODY if request.app[OPEN] else await identify(request)
        note_caller(request, caller)
        keep_connection(request)
        request.app[LIMITS].count(caller)
        if not caller.role.includes(role):
            raise forbidden(
                ProblemType.ROLE_MISSING,
                f"{caller.name} has the role {caller.role}; this needs {role}",
            )
        with request.app[LIMITS].request(caller):
            return await handler(request)

    return guard


def owner_of(sha256: str, tokens: Mapping[str, ApiToken]) -> Caller:
    """Who has the token of this hash.

    Raises:
        ProblemError: nobody.
    """
    # All are compared, each in constant time: the time that it takes reveals nothing about a hash.
    found = [
        Caller(name, known.role, known.targets)
        for name, known in tokens.items()
        if compare_digest(sha256, known.sha256)
    ]
    if not found:
        raise unauthorized(
            ProblemType.TOKEN_UNKNOWN, "no such token; send one that is in PUSH_QUEUE_API_TOKENS"
        )
    return found[0]


async def identify(request: web.Request) -> Caller:
    """Who sent the request.

    Raises:
        ProblemError: nobody who may.
        RedisUnavailableError: sessions cannot be looked up.
    """
    given = request.headers.getall("Authorization", [])
    if not given and (secret := request.cookies.get(COOKIE)):
        check_own_page(request)
        sha256 = await request.app[SESSIONS].token_of(secret)
        if sha256 is None:
            raise unauthorized(ProblemType.SESSION_UNKNOWN, "the session has ended; log in again")
        return owner_of(sha256, request.app[TOKENS])
    token = _bearer(given)
    oidc = request.app[OIDC]
    if oidc and oidc.takes(token):
        return await oidc.identify(token)
    return owner_of(hash_of(token), request.app[TOKENS])


def _bearer(given: list[str]) -> str:
    if not given:
        raise missing_token()
    scheme, _, token = given[0].partition(" ")
    if len(given) > 1 or scheme.lower() != "bearer":
        raise unauthorized(
            ProblemType.TOKEN_UNKNOWN,
            "Authorization is not one token; send it as Authorization: Bearer TOKEN",
        )
    return token.strip()
