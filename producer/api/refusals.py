"""The statuses with which each route may refuse a request, and what they mean."""

from collections.abc import Iterator, Mapping
from http import HTTPMethod, HTTPStatus

from producer.api.route import Route

MEANINGS: Mapping[HTTPStatus, str] = {
    HTTPStatus.BAD_REQUEST: "The request makes no sense; `detail` names the field.",
    HTTPStatus.UNAUTHORIZED: "The token is missing, unknown or expired, or the session has ended.",
    HTTPStatus.FORBIDDEN: "The caller may not, or a web page of another origin asks.",
    HTTPStatus.NOT_FOUND: "There is no such thing, or it is not the caller's.",
    HTTPStatus.REQUEST_TIMEOUT: "The request did not arrive in time.",
    HTTPStatus.CONFLICT: "Things are not as the request has them; `detail` says how they are.",
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE: "There are more bytes than the server ever takes.",
    HTTPStatus.UNSUPPORTED_MEDIA_TYPE: "The body is not what it has to be, or is compressed.",
    HTTPStatus.EXPECTATION_FAILED: "`Expect` is something else than `100-continue`.",
    HTTPStatus.MISDIRECTED_REQUEST: "`Host` is not the loopback, and there are no tokens.",
    HTTPStatus.TOO_MANY_REQUESTS: "The caller asks too much; `Retry-After` says when to go on.",
    HTTPStatus.SERVICE_UNAVAILABLE: "Redis or the spool is away, or all is busy; try again later.",
    HTTPStatus.INSUFFICIENT_STORAGE: "The spool has no room for now.",
}

_ALWAYS = (
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.FORBIDDEN,
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.EXPECTATION_FAILED,
    HTTPStatus.SERVICE_UNAVAILABLE,
)
_OF_BODIES = (HTTPStatus.REQUEST_ENTITY_TOO_LARGE, HTTPStatus.UNSUPPORTED_MEDIA_TYPE)
_MISSED = ("{job_id}", "{worker_id}", "{webhook}", "/uploads")
"""What may not be there."""
_OF_CALLERS = (HTTPStatus.UNAUTHORIZED, HTTPStatus.TOO_MANY_REQUESTS)


def refusals_of(route: Route, *, with_tokens: bool) -> frozenset[HTTPStatus]:
    """Those of the route, where the server has tokens or not."""
    without = frozenset() if with_tokens else frozenset(_OF_CALLERS)
    return frozenset(_refusals(route, with_tokens)) - without


def _refusals(route: Route, with_tokens: bool) -> Iterator[HTTPStatus]:
    yield from _ALWAYS
    yield from route.refusals
    if route.method != HTTPMethod.GET:
        yield from _OF_BODIES
    if any(thing in route.path for thing in _MISSED):
        yield HTTPStatus.NOT_FOUND
    if not with_tokens:
        yield HTTPStatus.MISDIRECTED_REQUEST
    elif route.role:
        yield from _OF_CALLERS
