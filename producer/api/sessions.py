"""Log a browser in and out: a token is exchanged for a cookie that lasts for some hours."""

from http import HTTPStatus

from aiohttp import web

from producer.api.access.authentication import COOKIE, owner_of
from producer.api.access.browsers import check_own_page
from producer.api.access.callers import Caller, caller_of
from producer.api.access.keys import SESSIONS, TOKENS
from producer.api.answers import answer
from producer.api.inputs import no_body, small_body_of
from producer.api.models.sessions import Login, Session
from producer.api.problem_types import ProblemType
from producer.api.problems import ProblemError
from push_queue.sessions import SESSION_SECONDS
from push_queue.settings.api_tokens import hash_of


async def log_in(request: web.Request) -> web.Response:
    """Exchange a token for a session, whose secret goes into a cookie that no script can read."""
    login = await small_body_of(request, Login)
    if not request.app[TOKENS]:
        raise ProblemError(
            ProblemType.NO_TOKENS,
            "this server has no tokens to log in with",
        )
    sha256 = hash_of(login.token.get_secret_value())
    caller = owner_of(sha256, request.app[TOKENS])
    response = answer(_session(caller), HTTPStatus.CREATED)
    response.set_cookie(
        COOKIE,
        await request.app[SESSIONS].begin(sha256),
        max_age=SESSION_SECONDS,
        httponly=True,
        samesite="Strict",
        # Where a proxy speaks TLS for this server, the browser alone knows.
        secure=request.headers.get("Origin", "").startswith("https:"),
    )
    return response


async def who_am_i(request: web.Request) -> web.Response:
    """The caller's name, and what it may do."""
    return answer(_session(caller_of(request)))


async def log_out(request: web.Request) -> web.Response:
    """End the session of the cookie, and have the browser forget it."""
    await no_body(request)
    if secret := request.cookies.get(COOKIE):
        check_own_page(request)
        await request.app[SESSIONS].close(secret)
    response = web.Response(status=HTTPStatus.NO_CONTENT)
    response.del_cookie(COOKIE)
    return response


def _session(caller: Caller) -> Session:
    return Session(name=caller.name, role=caller.role, targets=caller.targets)
