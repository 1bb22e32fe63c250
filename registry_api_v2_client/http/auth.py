"""Authorization for registry requests: Basic, or a Bearer token from the registry's token server.

Token flow: https://distribution.github.io/distribution/spec/auth/token/
"""

import asyncio
import base64
import json
import time
from collections import defaultdict
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from yarl import URL

from ..exceptions import CredentialsError, ProtocolError
from .challenge import Challenge, parse_challenges
from .credentials import Credentials, CredentialStore

_DEFAULT_LIFETIME = 60.0
"""Seconds a token lives when the token server does not say."""
_EARLY = 0.2
"""A token is renewed when this share of its life is left."""

Get = Callable[[URL, Mapping[str, str]], Awaitable[bytes]]
"""GET with headers; gives the body of a 200 answer, raises otherwise."""


@dataclass(frozen=True, slots=True)
class _Authorization:
    header: str
    good_until: float


class Authenticator:
    """Keeps the Authorization header per registry and scope. One event loop."""

    def __init__(self, credentials: CredentialStore, get: Get) -> None:
        self._credentials = credentials
        self._get = get
        self._known: dict[tuple[str, str], _Authorization] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = defaultdict(asyncio.Lock)

    def header(self, host: str, scope: str) -> str | None:
        """The Authorization header for a request, if the registry has asked for one before."""
        known = self._known.get((host, scope))
        return known.header if known and known.good_until > time.monotonic() else None

    async def answer(
        self, host: str, scope: str, url: URL, challenge: str, refused: str | None
    ) -> bool:
        """Get an Authorization for a 401; False when there is none other than the ``refused`` one.

        Raises:
            CredentialsError: the token server refuses.
            RegistryUnavailableError: it does not answer.
        """
        async with self._locks[host, scope]:
            if self.header(host, scope) not in (None, refused):
                return True  # another request has got it meanwhile
            authorization = await self._authorize(host, scope, url, challenge)
            if authorization is None or authorization.header == refused:
                return False
            self._known[host, scope] = authorization
            return True

    async def _authorize(
        self, host: str, scope: str, url: URL, header: str
    ) -> _Authorization | None:
        credentials = self._credentials.find(host)
        challenges = {challenge.scheme: challenge for challenge in parse_challenges(header)}
        if "bearer" in challenges:
            return await self._token(host, scope, url, challenges["bearer"], credentials)
        if "basic" in challenges and credentials:
            return _Authorization(_basic(credentials), float("inf"))
        return None

    async def _token(
        self, host: str, scope: str, url: URL, challenge: Challenge, credentials: Credentials | None
    ) -> _Authorization:
        realm = _realm(host, url, challenge)
        scopes = dict.fromkeys(f"{scope} {challenge.parameters.get('scope', '')}".split())
        query = [("scope", one) for one in scopes]
        if service := challenge.parameters.get("service"):
            query.append(("service", service))
        headers = {"Authorization": _basic(credentials)} if credentials else {}
        asked_at = time.monotonic()
        body = await self._get(realm.extend_query(query), headers)
        try:
            answer = json.loads(body)
            token = answer.get("token") or answer["access_token"]
            lifetime = float(answer.get("expires_in") or _DEFAULT_LIFETIME)
        except (ValueError, LookupError, TypeError, AttributeError) as error:
            raise CredentialsError(
                f"the token server of {host} answered without a token"
            ) from error
        return _Authorization(f"Bearer {token}", asked_at + lifetime * (1 - _EARLY))


def _realm(host: str, url: URL, challenge: Challenge) -> URL:
    try:
        realm = URL(challenge.parameters["realm"])
    except (KeyError, ValueError) as error:
        raise ProtocolError(f"{host} asks for a token without saying where", status=401) from error
    # Credentials do not leave an encrypted registry over plain HTTP.
    if realm.scheme not in ("https", url.scheme) or not realm.host:
        raise ProtocolError(f"{host} names a token server that is not safe to use", status=401)
    return realm


def _basic(credentials: Credentials) -> str:
    pair = f"{credentials.username}:{credentials.password}".encode()
    return f"Basic {base64.b64encode(pair).decode()}"
