"""Callers with an OpenID Connect token of a CI system, which needs no secret to be stored there.

The signature is checked by a key of the issuer, and only by an algorithm with a public key. What
the token may is what the first rule says that its claims fit.
"""

from collections.abc import Mapping
from typing import Any

import jwt

from producer.api.access.callers import Caller
from producer.api.access.issuer_keys import IssuerKeys, IssuerUnavailableError
from producer.api.access.refusals import forbidden, unauthorized
from producer.api.problem_types import ProblemType
from producer.api.problems import ProblemError
from push_queue.settings.oidc_issuers import OidcIssuer

ALGORITHMS = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512", "ES256", "ES384", "EdDSA")
"""All with a public key: knowing it is not enough to make a token."""
LEEWAY_SECONDS = 30
"""How far the issuer's clock may be off."""
_MOST_NAME = 255
_REQUIRED = ("iss", "sub", "aud", "exp", "iat")

# First match wins; nothing of the token is repeated.
_REASONS: tuple[tuple[type[jwt.PyJWTError], str], ...] = (
    (jwt.ExpiredSignatureError, "has expired; get a new one for each request"),
    (jwt.ImmatureSignatureError, "is not valid yet; look at the clocks"),
    (jwt.MissingRequiredClaimError, f"lacks one of {', '.join(_REQUIRED)}"),
)


class OidcCallers:
    """The issuers of the settings."""

    def __init__(self, issuers: Mapping[str, OidcIssuer]) -> None:
        self._issuers = {
            issuer.issuer: (name, issuer, IssuerKeys(issuer.issuer))
            for name, issuer in issuers.items()
        }

    def takes(self, token: str) -> bool:
        """Whether it has the form of a signed JSON Web Token (RFC 7519), as none of ours has."""
        return token.count(".") == 2

    async def identify(self, token: str) -> Caller:
        """Who the token is for.

        Raises:
            ProblemError: nobody, or the issuer cannot be asked.
        """
        key_id, issuer_url = _named(token)
        if issuer_url not in self._issuers:
            raise _invalid("is of no issuer in PUSH_QUEUE_API_OIDC")
        name, issuer, keys = self._issuers[issuer_url]
        try:
            key = await keys.find(key_id)
        except IssuerUnavailableError as error:
            raise ProblemError(
                ProblemType.ISSUER_UNAVAILABLE, f"{error}; try again later"
            ) from None
        if key is None:
            raise _invalid("is signed by a key that its issuer does not have")
        return _caller(name, issuer, _verified(token, key, issuer))


def _named(token: str) -> tuple[str, str]:
    """The key and the issuer that the token names, which proves nothing yet."""
    try:
        key_id = jwt.get_unverified_header(token).get("kid")
        issuer = jwt.decode(token, options={"verify_signature": False}).get("iss")
    except (jwt.PyJWTError, ValueError, RecursionError):
        raise _invalid("cannot be read") from None
    if not isinstance(key_id, str) or not isinstance(issuer, str):
        raise _invalid("names no key, or no issuer")
    return key_id, issuer


def _verified(token: str, key: jwt.PyJWK, issuer: OidcIssuer) -> dict[str, Any]:
    try:
        return jwt.decode(
            token,
            key,
            algorithms=ALGORITHMS,
            issuer=issuer.issuer,
            audience=issuer.audience,
            leeway=LEEWAY_SECONDS,
            options={"require": list(_REQUIRED)},
        )
    except jwt.InvalidAudienceError:
        raise _invalid(f"is for another audience; get one for {issuer.audience}") from None
    except jwt.PyJWTError as error:
        reasons = (reason for kind, reason in _REASONS if isinstance(error, kind))
        raise _invalid(next(reasons, "is not signed by its issuer")) from None


def _caller(name: str, issuer: OidcIssuer, claims: Mapping[str, Any]) -> Caller:
    subject = claims["sub"]
    if len(subject) > _MOST_NAME or not subject.isprintable():
        raise _invalid("has a subject that is no name")
    for rule in issuer.rules:
        if rule.fits(claims):
            return Caller(f"{name}:{subject}", rule.role, rule.targets)
    raise forbidden(
        ProblemType.CLAIMS_NOT_ALLOWED,
        f"no rule of PUSH_QUEUE_API_OIDC is for {subject} of {name}",
    )


def _invalid(what: str) -> ProblemError:
    return unauthorized(ProblemType.TOKEN_INVALID, f"the OpenID Connect token {what}")
