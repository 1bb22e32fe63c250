"""Logins for registries, and for servers of tars."""

from base64 import b64encode
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, SecretStr, model_validator


class RegistryCredentials(BaseModel):
    """The login for one registry."""

    username: str
    """The user; ``<token>`` if the password is an identity token."""
    password: SecretStr
    """The password, or the token that the registry gave out in its place."""


_FORM = '{"reg.example.com": {"username": "…", "password": "…"}}'


def _check_form(value: object) -> object:
    """The value as it is. What pydantic says of another form does not tell which one is meant."""
    if not isinstance(value, dict):
        raise ValueError(f"must be {_FORM}")
    if "auths" in value:
        raise ValueError(
            f"must be {_FORM}; docker's config.json is read where DOCKER_CONFIG names its folder"
        )
    for name, login in value.items():
        if not isinstance(login, dict | RegistryCredentials):
            raise ValueError(f"{name} must have a user and a password, as in {_FORM}")
    return value


RegistryAuth = Annotated[dict[str, RegistryCredentials], BeforeValidator(_check_form)]
"""Logins by registry or by ``host/namespace``."""


class SourceLogin(BaseModel):
    """The login for a server of tars: a user and password, or a token."""

    username: str | None = None
    """The user, for Basic authentication."""
    password: SecretStr | None = None
    """The user's password."""
    token: SecretStr | None = None
    """A token, which is sent as ``Bearer``; in place of user and password."""

    @model_validator(mode="after")
    def _check(self) -> Self:
        if bool(self.token) == bool(self.username and self.password):
            raise ValueError("give either username and password, or token")
        return self

    @property
    def authorization(self) -> str:
        """The value of that header."""
        if self.token:
            return f"Bearer {self.token.get_secret_value()}"
        password = self.password.get_secret_value() if self.password else ""
        return f"Basic {b64encode(f'{self.username}:{password}'.encode()).decode()}"
