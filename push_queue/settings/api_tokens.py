"""Tokens of the HTTP API: made here, and known to servers by their SHA-256 alone.

A token has 256 random bits, so that nobody can try them out. A slow hash, which passwords need
because they can be guessed, would only make every request slow.
"""

import secrets
from collections.abc import Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, model_validator

from push_queue.settings.target_patterns import TargetPattern

_BYTES = 32
_PREFIX = "pq_"
"""The prefix by which people and scanners for leaked secrets recognise a token."""


class Role(StrEnum):
    """What a caller may do."""

    READ = "read"
    """See jobs."""
    ENQUEUE = "enqueue"
    """See, enqueue, cancel and retry jobs."""
    ADMIN = "admin"
    """All of it for every target."""
    WORKER = "worker"
    """Read uploads, and delete those that are pushed; nothing else."""

    def includes(self, other: "Role") -> bool:
        """Whether this role may do what the other may."""
        return self in (other, Role.ADMIN) or (self, other) == (Role.ENQUEUE, Role.READ)


class Grant(BaseModel):
    """What a caller may do, and with which repositories."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    role: Role
    """What the caller may do."""
    targets: tuple[TargetPattern, ...] = ()
    """Patterns of ``registry/repository`` that it may do it with; ``*/*`` is all. An admin may use
    all, and a worker is not asked, so these two have none."""

    @model_validator(mode="after")
    def _check_targets(self) -> Self:
        if self.role is Role.ADMIN and self.targets:
            raise ValueError("an admin has all targets; leave them out, or use another role")
        if self.role is Role.WORKER and self.targets:
            raise ValueError("a worker's token is for uploads alone; leave the targets out")
        if self.role in (Role.READ, Role.ENQUEUE) and not self.targets:
            raise ValueError(f"the role {self.role} needs targets; */* is all of them")
        return self


class ApiToken(Grant):
    """What a token allows, and how it is recognized."""

    sha256: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
    """The SHA-256 of the token, in hexadecimal."""


TokenName = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,64}$")]


def _check_hashes(tokens: Mapping[str, ApiToken]) -> Mapping[str, ApiToken]:
    if len({token.sha256 for token in tokens.values()}) != len(tokens):
        raise ValueError("two names have the same token; make one for each")
    return tokens


ApiTokens = Annotated[dict[TokenName, ApiToken], AfterValidator(_check_hashes)]


def new_token() -> str:
    """A token that nobody else has."""
    return _PREFIX + new_secret()


def new_secret() -> str:
    """A secret that nobody can guess, in characters that are valid in any header."""
    return secrets.token_urlsafe(_BYTES)


def hash_of(token: str) -> str:
    """The hash that is kept of a token or another secret."""
    # Bytes of a header that are not UTF-8 arrive as surrogates.
    return sha256(token.encode(errors="surrogateescape")).hexdigest()
