"""Tokens from a registry's token server.

With a password: https://distribution.github.io/distribution/spec/auth/token/
With an identity token: https://distribution.github.io/distribution/spec/auth/oauth/
"""

import base64
import math
import re
from collections.abc import Awaitable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from urllib.parse import urlencode

from yarl import URL

from ..exceptions import CredentialsError, DeniedError, RegistryUnavailableError
from ..http.errors import error_of
from ..http.messages import Answer, Request
from ..http.named_hosts import NamedHosts
from ..json_document import parse_json
from .challenge import Challenge
from .credentials import Credentials, SecretKind, registry_key

_CLIENT_ID = "registry-push-queue"
_DEFAULT_LIFETIME = 60.0
"""Lifetime of a token in seconds if the token server states none, or one that is not positive."""
_TOKEN = re.compile(r"[\x21-\x7e]+")
"""What a header can carry: more than RFC 6750 allows."""
_NO_POST = (404, 405)


@dataclass(frozen=True, slots=True)
class Token:
    """A Bearer token, valid for ``lifetime`` seconds from the request for it."""

    value: str = field(repr=False)
    lifetime: float


class Send(Protocol):
    """Sends a request and returns the answer, whatever its status."""

    def __call__(self, request: Request, authorization: str | None = None) -> Awaitable[Answer]: ...


class TokenServer:
    """Asks the token servers that registries name."""

    def __init__(self, named_hosts: NamedHosts, send: Send) -> None:
        self._named_hosts = named_hosts
        self._send = send

    async def fetch(
        self,
        registry: URL,
        challenge: Challenge,
        scopes: Sequence[str],
        credentials: Credentials | None,
    ) -> Token:
        """A token for the scopes; anonymous without credentials.

        Raises:
            CredentialsError, DeniedError: the token server refuses.
            RegistryUnavailableError: it does not answer.
            ProtocolError: the registry names one to which no credentials may be sent.
        """
        realm = await self._named_hosts.realm(registry, challenge.parameters.get("realm"))
        service = challenge.parameters.get("service")
        whose = f"{registry.host_port_subcomponent}: its token server"
        what = f"{whose} {realm.host_port_subcomponent}"
        try:
            answer = await self._ask(registry, realm, service, scopes, credentials)
        except RegistryUnavailableError as error:
            # The error begins with the token server's address.
            raise type(error)(f"{whose} {error}") from error
        if answer.status == 200:
            return _token(what, answer.body)
        who, advice = "refuses the credentials", ""
        if not credentials:
            who = "gives no token without credentials"
            advice = f"sign in by `docker login {registry_key(str(registry.origin()))}`"
        refusal = error_of(f"{what} {who}", answer.status, answer.headers, answer.body, advice)
        if refusal.retryable:
            raise error_of(what, answer.status, answer.headers, answer.body)
        if isinstance(refusal, DeniedError):
            raise refusal
        raise CredentialsError(str(refusal)) from refusal

    async def _ask(
        self,
        registry: URL,
        realm: URL,
        service: str | None,
        scopes: Sequence[str],
        credentials: Credentials | None,
    ) -> Answer:
        common = [("service", service)] if service else []
        if credentials and credentials.kind is SecretKind.IDENTITY_TOKEN:
            form = [
                ("grant_type", "refresh_token"),
                *common,
                ("client_id", _CLIENT_ID),
                ("scope", " ".join(scopes)),
                ("refresh_token", credentials.password),
            ]
            kind = {"Content-Type": "application/x-www-form-urlencoded"}
            answer = await self._send(
                Request("POST", realm, registry, kind, urlencode(form).encode())
            )
            if answer.status not in _NO_POST:
                return answer
        query = [*(("scope", scope) for scope in scopes), *common]
        return await self._send(
            Request("GET", realm.extend_query(query), registry),
            basic(credentials) if credentials else None,
        )


def merge_scopes(texts: Iterable[str]) -> list[str]:
    """All the scopes, each resource once with all its actions, in the order of first mention.

    Grammar: https://distribution.github.io/distribution/spec/auth/scope/
    """
    merged: dict[str, dict[str, None]] = {}
    for scope in " ".join(texts).split():
        # A scope without a colon has no actions, and stays unchanged.
        resource, colon, actions = scope.rpartition(":") if ":" in scope else (scope, "", "")
        merged.setdefault(resource + colon, {}).update(dict.fromkeys(actions.split(",")))
    return [resource + ",".join(actions) for resource, actions in merged.items()]


def basic(credentials: Credentials) -> str:
    """The Authorization header for a user name and password."""
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"


def _token(what: str, body: bytes) -> Token:
    try:
        answer = parse_json(body)
        value = answer.get("token") or answer["access_token"]
        lifetime = float(answer.get("expires_in") or _DEFAULT_LIFETIME)
        if not _TOKEN.fullmatch(value) or not math.isfinite(lifetime):
            raise ValueError("no header can carry this token, or no clock this lifetime")
        if lifetime <= 0:
            # Without a lifetime, each request would ask for a token.
            lifetime = _DEFAULT_LIFETIME
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        raise CredentialsError(f"{what} answered without a token") from error
    return Token(value, lifetime)
