"""The public keys of an OpenID Connect issuer: read when needed, and kept for a while.

https://openid.net/specs/openid-connect-discovery-1_0.html
"""

import asyncio
import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress
from math import inf
from time import monotonic
from typing import Annotated, Any, TypeVar

import aiohttp
from jwt import PyJWK, PyJWTError
from pydantic import AfterValidator, BaseModel, ValidationError

from push_queue.settings.oidc_issuers import check_issuer_url

logger = logging.getLogger(__name__)

FRESH_SECONDS = 3600.0
"""How long until keys are read again, so that a withdrawn one does not stay."""
STALE_SECONDS = 24 * 3600.0
"""How long keys stay valid while the issuer cannot be asked."""
PAUSE_SECONDS = 30.0
"""The least time between two requests, so that tokens with made-up keys cannot flood an issuer."""
_PAUSE_AFTER_FAILURE_SECONDS = 5.0
_ANSWER_SECONDS = 10.0
_MOST_BYTES = 512 * 1024

Model = TypeVar("Model", bound=BaseModel)


class IssuerUnavailableError(Exception):
    """The issuer's keys cannot be read; says why, on one line."""


class _Discovery(BaseModel):
    issuer: str
    jwks_uri: Annotated[str, AfterValidator(check_issuer_url)]


class _KeySet(BaseModel):
    keys: tuple[dict[str, Any], ...]


class IssuerKeys:
    """The keys of one issuer, by id."""

    def __init__(self, issuer: str) -> None:
        self._issuer = issuer
        self._keys: Mapping[str, PyJWK] = {}
        self._read_at = -inf
        self._ask_from = -inf
        self._asking = asyncio.Lock()

    async def find(self, key_id: str) -> PyJWK | None:
        """The key; None if the issuer has none of this id.

        Raises:
            IssuerUnavailableError: it cannot be asked, and nothing is known from before.
        """
        # An issuer that is slow keeps one request waiting, not all whose keys are known.
        if self._wants(key_id) and not (key_id in self._keys and self._asking.locked()):
            async with self._asking:
                if self._wants(key_id) and monotonic() >= self._ask_from:
                    await self._ask()
        if self._age() > STALE_SECONDS:
            raise IssuerUnavailableError(f"the keys of {self._issuer} cannot be read")
        return self._keys.get(key_id)

    def _wants(self, key_id: str) -> bool:
        return key_id not in self._keys or self._age() > FRESH_SECONDS

    def _age(self) -> float:
        return monotonic() - self._read_at

    async def _ask(self) -> None:
        try:
            self._keys = await _read_keys(self._issuer)
        except IssuerUnavailableError as error:
            logger.warning("%s", error)
            self._ask_from = monotonic() + _PAUSE_AFTER_FAILURE_SECONDS
        else:
            self._read_at = monotonic()
            self._ask_from = self._read_at + PAUSE_SECONDS


async def _read_keys(issuer: str) -> Mapping[str, PyJWK]:
    timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=True) as session:
        place = f"{issuer.rstrip('/')}/.well-known/openid-configuration"
        discovery = await _read(session, place, _Discovery)
        if discovery.issuer != issuer:
            raise IssuerUnavailableError(f"{place} is of another issuer")
        key_set = await _read(session, discovery.jwks_uri, _KeySet)
    return dict(_usable(key_set.keys))


async def _read(session: aiohttp.ClientSession, url: str, model: type[Model]) -> Model:
    try:
        # Elsewhere may be anybody.
        async with session.get(url, allow_redirects=False) as response:
            if response.status != 200:
                raise IssuerUnavailableError(f"{url} answers {response.status}")
            body = bytearray()
            async for piece in response.content.iter_any():
                body += piece
                if len(body) > _MOST_BYTES:
                    raise IssuerUnavailableError(f"{url} answers without end")
            return model.model_validate_json(bytes(body))
    except ValidationError:
        raise IssuerUnavailableError(f"{url} answers something else") from None
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        raise IssuerUnavailableError(f"{url} cannot be read ({type(error).__name__})") from None


def _usable(keys: Iterable[dict[str, Any]]) -> Iterable[tuple[str, PyJWK]]:
    """Keys to check signatures with, by id. Each is good for one algorithm alone."""
    for fields in keys:
        key_id = fields.get("kid")
        if not isinstance(key_id, str) or fields.get("use", "sig") != "sig":
            continue
        # Keys of unknown kinds are left out: they sign nothing that is accepted here.
        with suppress(PyJWTError):
            yield key_id, PyJWK(fields)
