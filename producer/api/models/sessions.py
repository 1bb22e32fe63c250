"""Logging in, and who the caller is."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from push_queue.settings.api_tokens import Role


class Login(BaseModel):
    """What a browser logs in with."""

    model_config = ConfigDict(strict=True, extra="forbid")

    token: Annotated[SecretStr, Field(min_length=1, max_length=1024)]
    """The token of the caller."""


class Session(BaseModel):
    """The caller."""

    name: str | None
    """The name of the token; null without tokens."""
    role: Role
    """What the caller may do."""
    targets: tuple[str, ...]
    """Patterns of the repositories that the caller may use; empty for an admin, who may use all."""
