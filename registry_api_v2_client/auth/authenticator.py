"""Authorization for registry requests: Basic, or a Bearer token from the registry's token server.

The first request to a registry goes without authorization. After the first challenge, each scope
gets its token before a request needs it, and a new one before the old one expires. A 401 in the
middle of an upload is thus rare.
"""

import asyncio
import math
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from yarl import URL

from ..exceptions import CredentialsError, DeniedError
from .challenge import Challenge, parse_challenges
from .credential_store import CredentialStore
from .credentials import Credentials, SecretKind
from .tokens import TokenServer, basic, merge_scopes

_EARLY = 0.2
"""A token is renewed when this share of its lifetime is left."""
_SCHEMES = ("bearer", "basic")
"""The supported schemes, in order of preference."""
_MOST_PLACES = 1024
"""The most scopes to remember. The least recently used are forgotten first."""


@dataclass(frozen=True, slots=True)
class Authorization:
    """An Authorization header, and until when it is valid (monotonic seconds)."""

    header: str = field(repr=False)
    good_until: float = math.inf
    anonymous: bool = False


@dataclass(slots=True)
class _Place:
    """What is known about one scope at one registry."""

    registry: URL
    scope: str
    wanted: list[str]
    """The scopes to ask for: ours, and those of the registry's challenge."""
    current: Authorization | None = None
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @property
    def good(self) -> Authorization | None:
        current = self.current
        return current if current and current.good_until > time.monotonic() else None


class Authenticator:
    """Keeps the authorization for each registry (by origin) and scope. One event loop."""

    def __init__(self, credentials: CredentialStore, tokens: TokenServer) -> None:
        self._credentials = credentials
        self._tokens = tokens
        self._challenges: dict[URL, Challenge] = {}
        self._places: OrderedDict[tuple[URL, str], _Place] = OrderedDict()

    async def authorization(self, registry: URL, scope: str) -> Authorization | None:
        """What to send with a request; None if the registry has never asked for authorization.

        Raises: as ``renew``.
        """
        if registry.origin() not in self._challenges:
            return None
        place = self._place(registry, scope)
        if good := place.good:
            return good
        async with place.lock:
            return place.good or await self._authorize(place, None)

    async def renew(
        self,
        registry: URL,
        scope: str,
        header: str,
        refused: Authorization | None,
        *,
        again: bool,
    ) -> bool:
        """Get another authorization after a 401 with the challenges ``header``.

        ``again`` says that ``refused`` was obtained for this very request. Returns False when there
        is no other authorization to try.

        Raises:
            CredentialsError: a login file or credential helper failed, or the token server refuses.
            DeniedError: the token server refuses.
            RegistryUnavailableError: the token server does not answer.
            ProtocolError: the registry is not allowed to name that token server.
        """
        challenges = {challenge.scheme: challenge for challenge in parse_challenges(header)}
        challenge = next((challenges[name] for name in _SCHEMES if name in challenges), None)
        if challenge is None:
            return False
        # Another token would allow no more: https://www.rfc-editor.org/rfc/rfc6750#section-3.1
        if again and challenge.parameters.get("error") == "insufficient_scope":
            return False
        place = self._place(registry, scope)
        async with place.lock:
            if place.good and place.good is not refused:
                return True  # another request has renewed it meanwhile
            self._challenges[place.registry] = challenge
            place.wanted = merge_scopes([scope, challenge.parameters.get("scope", "")])
            return await self._authorize(place, refused) is not None

    def _place(self, registry: URL, scope: str) -> _Place:
        key = registry.origin(), scope
        place = self._places.setdefault(key, _Place(*key, merge_scopes([scope])))
        self._places.move_to_end(key)
        if len(self._places) > _MOST_PLACES:
            self._places.popitem(last=False)
        return place

    async def _authorize(
        self, place: _Place, refused: Authorization | None
    ) -> Authorization | None:
        """Answer the registry's challenge; None if there is no answer, or no other than before."""
        place.current = None
        found = await self._answer(place, refresh=refused is not None)
        if not refused or (found and found.header != refused.header):
            place.current = found
        return place.current

    async def _answer(self, place: _Place, *, refresh: bool) -> Authorization | None:
        """Sign in. If the credentials are refused, try newer ones once, if there are any."""
        credentials = await self._find(place, refresh=refresh)
        try:
            return await self._sign_in(place, credentials)
        except (CredentialsError, DeniedError):
            newer = await self._find(place, refresh=True)
            if newer == credentials:
                raise
            return await self._sign_in(place, newer)

    async def _find(self, place: _Place, *, refresh: bool) -> Credentials | None:
        host = place.registry.host_port_subcomponent or ""
        return await self._credentials.find(host, _repository(place.scope), refresh=refresh)

    async def _sign_in(
        self, place: _Place, credentials: Credentials | None
    ) -> Authorization | None:
        challenge = self._challenges[place.registry]
        if credentials and credentials.kind is SecretKind.REGISTRY_TOKEN:
            return Authorization(f"Bearer {credentials.password}")
        if challenge.scheme == "basic":
            return Authorization(basic(credentials)) if credentials else None
        asked_at = time.monotonic()
        token = await self._tokens.fetch(place.registry, challenge, place.wanted, credentials)
        return Authorization(
            f"Bearer {token.value}",
            good_until=asked_at + token.lifetime * (1 - _EARLY),
            anonymous=credentials is None,
        )


def _repository(scope: str) -> str:
    """The repository of the first scope; empty for the catalog."""
    kind, _, rest = scope.partition(" ")[0].partition(":")
    return rest.rpartition(":")[0] if kind == "repository" else ""
