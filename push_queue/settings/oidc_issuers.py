"""CI systems whose OpenID Connect tokens the HTTP API takes, and what their claims allow."""

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, StringConstraints

from push_queue.settings.api_tokens import Grant, TokenName

_WITHOUT_TLS = (("http", "localhost"), ("http", "127.0.0.1"), ("http", "::1"))

Claims = Mapping[str, object]


def check_issuer_url(text: str) -> str:
    """The URL, as tokens name it.

    Raises:
        ValueError: keys that come from there could be anybody's.
    """
    url = urlsplit(text)
    if not url.hostname or url.query or url.fragment or url.username:
        raise ValueError("must be a URL such as https://token.actions.githubusercontent.com")
    if url.scheme != "https" and (url.scheme, url.hostname) not in _WITHOUT_TLS:
        raise ValueError("must begin with https://")
    return text


def _check_claim(pattern: str) -> str:
    if not pattern.strip("*?"):
        raise ValueError("fits every token of the issuer, also those of strangers; name a value")
    return pattern


ClaimPattern = Annotated[
    str, StringConstraints(min_length=1, max_length=512), AfterValidator(_check_claim)
]


class OidcRule(Grant):
    """What tokens with matching claims may do."""

    claims: Annotated[dict[str, ClaimPattern], Field(min_length=1)]
    """Patterns by the name of the claim, as ``{"repository": "acme/app"}``; all have to fit."""

    def fits(self, claims: Claims) -> bool:
        """Whether the claims of a token fit."""
        return all(
            fnmatchcase(_text(claims.get(name)), pattern) for name, pattern in self.claims.items()
        )


class OidcIssuer(BaseModel):
    """An issuer of tokens: its audience, and what its tokens allow."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    issuer: Annotated[str, AfterValidator(check_issuer_url)]
    """Its URL, as its tokens name it (``iss``)."""
    audience: Annotated[str, StringConstraints(min_length=1, max_length=512)]
    """What a token has to be made for (``aud``), usually the URL of this API."""
    rules: Annotated[tuple[OidcRule, ...], Field(min_length=1)]
    """What its tokens allow. The first rule whose claims fit counts."""


def _check_issuers(issuers: dict[str, OidcIssuer]) -> dict[str, OidcIssuer]:
    if len({issuer.issuer for issuer in issuers.values()}) != len(issuers):
        raise ValueError("two names have the same issuer; put their rules together")
    return issuers


OidcIssuers = Annotated[dict[TokenName, OidcIssuer], AfterValidator(_check_issuers)]


def _text(value: object) -> str:
    """A claim as patterns see it; empty, which matches none, if it is not a single value."""
    match value:
        case bool():
            return str(value).lower()
        case str() | int():
            return str(value)
        case _:
            return ""
