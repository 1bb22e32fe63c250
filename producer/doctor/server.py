"""Whether the server of the HTTP API can be reached, takes the token, and can work."""

from collections.abc import AsyncIterator

from producer.api.models.sessions import Session
from producer.doctor.finding import Finding, ok, problem
from producer.errors import ServerRefusedError, ServerUnavailableError
from producer.remote.requests import Requests

SUBJECT = "server"

_OF_WORKERS = "role-missing"
"""How a worker's token is answered, which is for uploads alone."""
_ADVICE = {
    "token-missing": "set PUSH_QUEUE_TOKEN, or name its file by --token-file",
    "token-unknown": "have its operator make one by `push-queue token`",
    "url": "mend it in --server or PUSH_QUEUE_SERVER",
}
"""What to do about a refusal, by its kind, where the error does not say it."""


async def check(url: str, token: str | None) -> AsyncIterator[Finding]:
    """What is found of the server at a URL."""
    try:
        async with Requests.to(url, token) as requests:
            yield ok(SUBJECT, await _greeted(requests))
            await requests.check_ready()
            yield ok(SUBJECT, "can work: it reaches Redis, and its spool if it has one")
    except ServerUnavailableError as error:
        yield problem(SUBJECT, str(error))
    except ServerRefusedError as error:
        yield problem(SUBJECT, str(error), _ADVICE.get(error.kind, ""))


async def _greeted(requests: Requests) -> str:
    """Whom the server takes us for.

    Raises:
        ServerUnavailableError: it cannot be reached.
        ServerRefusedError: it does not take the token, or is none.
    """
    try:
        caller = await requests.ask_for(Session, "GET", "session", riding=False)
    except ServerRefusedError as error:
        if error.kind != _OF_WORKERS:
            raise
        return f"{requests.server} takes the token, which is a worker's"
    if caller.name is None:
        return f"{requests.server} answers, and needs no token"
    return f"{requests.server} takes the token, as {caller.name} with the role {caller.role}"
