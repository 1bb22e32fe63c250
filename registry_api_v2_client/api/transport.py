"""HTTP to registries: authorization, redirects, and which answers are errors."""

import itertools
from collections.abc import Collection
from dataclasses import replace
from typing import Self

from ..auth.authenticator import Authenticator, Authorization
from ..auth.credential_store import CredentialStore
from ..auth.credentials import registry_key
from ..auth.tokens import TokenServer
from ..exceptions import ProtocolError, TokenExpiredError
from ..http.errors import error_of
from ..http.messages import Answer, Request
from ..http.named_hosts import NamedHosts, joined
from ..http.session import HttpSession
from ..http.tls import TlsSettings
from ..observer import NOBODY, Observer

_MOST_RENEWALS = 3
"""Limit of tokens fetched for one request: the registry may reject what its token server issues."""
_MOST_REDIRECTS = 5
REDIRECTS = (301, 302, 303, 307, 308)
_KEEPING_THE_METHOD = (307, 308)


class Transport:
    """Sends requests to registries. ``named_hosts`` says which addresses registries may name.

    Args:
        credentials: logins; without any, requests are anonymous.
        timeout: seconds without progress (connecting, a block sent, an answer) after which a
            request fails; an upload that makes progress may take as long as it needs.
        commit_timeout: seconds to wait for the answer to a request that commits an upload.
        tls: certificates; by default those in docker's folder.
        plain_http_hosts: ``host[:port]`` that may be token servers without TLS.
        observer: hears of each request.

    Raises:
        ValidationError: no such folder of certificates, or the environment names a bad proxy.
    """

    def __init__(
        self,
        credentials: CredentialStore | None = None,
        *,
        timeout: float = 60.0,
        commit_timeout: float = 600.0,
        tls: TlsSettings | None = None,
        plain_http_hosts: Collection[str] = (),
        observer: Observer = NOBODY,
    ) -> None:
        tls = tls or TlsSettings()
        self._session = HttpSession(
            timeout=timeout,
            commit_timeout=commit_timeout,
            tls=tls,
            observer=observer,
        )
        self._named_hosts = NamedHosts(plain_http_hosts, self._session.addresses, tls.name_of)
        self._auth = Authenticator(
            credentials or CredentialStore(), TokenServer(self._named_hosts, self._send)
        )

    def check_open(self) -> None:
        """Raises ValidationError if it is closed."""
        self._session.check_open()

    async def request(
        self, request: Request, *, scope: str, what: str, ok: Collection[int]
    ) -> Answer:
        """Send one request and return the answer if its status is in ``ok``.

        Redirects are followed unless their status is in ``ok``. GET and HEAD follow all of them.
        Other methods follow those that keep the method, and only if the body can be sent again.

        Requests to the registry itself carry authorization for ``scope``; those to a storage host
        that it redirects to carry none. ``what`` names the operation in errors. A streamed body
        cannot be sent twice: if the registry asks for new authorization in the middle of one,
        TokenExpiredError tells the caller to start over.

        Raises:
            RegistryError: the class says why, see ``exceptions``.
        """
        registry = request.registry
        host = registry.host_port_subcomponent
        ours = request.url.origin() == registry.origin()
        if not ours:
            await self._named_hosts.check(registry, request.url, sending=request.sends)
        for renewals in itertools.count():
            current = await self._auth.authorization(registry, scope) if ours else None
            answer = await self._send(request, current.header if current else None, ok)
            if answer.status in ok:
                return answer
            if renewals == _MOST_RENEWALS or not _asks_for_credentials(request, answer):
                break
            challenge = ", ".join(answer.headers.getall("WWW-Authenticate", ()))
            if not await self._auth.renew(registry, scope, challenge, current, again=renewals > 0):
                break
            if not request.repeatable:
                raise TokenExpiredError(f"{host}: {what}: the token expired", status=401)
        nobody = answer.status in (401, 403) and _is_anonymous(current)
        operation = f"{host}: {what}{' without credentials' if nobody else ''}"
        advice = ""
        if ours and (nobody or answer.status == 401):
            again = "" if nobody else " again"
            advice = f"sign in{again} by `docker login {registry_key(str(registry.origin()))}`"
        raise error_of(operation, answer.status, answer.headers, answer.body, advice)

    async def close(self) -> None:
        await self._session.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.close()

    async def _send(
        self, request: Request, authorization: str | None = None, ok: Collection[int] = ()
    ) -> Answer:
        """Send a request and follow its redirects; ``authorization`` is for its origin alone."""
        host = request.registry.host_port_subcomponent
        origin = request.url.origin()
        for _ in range(_MOST_REDIRECTS + 1):
            answer = await self._session.send(request.authorized(authorization))
            location = answer.headers.get("Location")
            if answer.status in ok or answer.status not in _followed(request) or not location:
                return answer
            try:
                request = replace(request, url=joined(request.url, location))
            except ValueError as error:
                raise ProtocolError(
                    f"{host} redirects to an address that is not an http(s) URL", status=0
                ) from error
            await self._named_hosts.check(request.registry, request.url, sending=request.sends)
            if request.url.origin() != origin:
                authorization = None
        raise ProtocolError(
            f"{host} redirects more than {_MOST_REDIRECTS} times", status=answer.status
        )


def _followed(request: Request) -> Collection[int]:
    """The redirects that are followed."""
    if not request.sends:
        return REDIRECTS
    return _KEEPING_THE_METHOD if request.repeatable else ()


def _asks_for_credentials(request: Request, answer: Answer) -> bool:
    """Whether the registry itself does. A host reached by a redirect gets no credentials."""
    own = request.registry.origin()
    return answer.status == 401 and own == request.url.origin() == answer.url.origin()


def _is_anonymous(authorization: Authorization | None) -> bool:
    return authorization is None or authorization.anonymous
