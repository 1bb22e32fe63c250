"""Credentials for a registry: the caller's own, or else the logins of docker and Podman.

The first of these that knows the registry wins: the caller's own, docker's ``config.json``,
Podman's ``auth.json``. In each, the entry of the longest name wins: ``host/namespace/repository``,
``host/namespace``, ``host``.
"""

from dataclasses import dataclass, field
from enum import StrEnum

from ..reference import DOCKER_HUB, DOCKER_HUB_HOSTS

TOKEN_USER = "<token>"
"""The user name that credential helpers give with an identity token."""


class SecretKind(StrEnum):
    """The kind of a secret, which decides where it may be sent."""

    PASSWORD = "password"
    """For the registry itself (Basic) or its token server."""
    IDENTITY_TOKEN = "identity token"
    """An OAuth2 refresh token, for the token server."""
    REGISTRY_TOKEN = "registry token"
    """A Bearer token, for the registry."""


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a secret. User name ``<token>`` marks the secret as an identity token."""

    username: str
    password: str = field(repr=False)
    kind: SecretKind = SecretKind.PASSWORD

    def __post_init__(self) -> None:
        if self.username == TOKEN_USER:
            object.__setattr__(self, "kind", SecretKind.IDENTITY_TOKEN)


def registry_key(key: str) -> str:
    """One name for a registry or a part of it, from any of docker's and Podman's spellings.

    ``https://reg.example.com/v2/`` becomes ``reg.example.com``, ``reg.example.com/team`` stays as
    it is, and every name of Docker Hub becomes ``docker.io``.
    """
    _, scheme, rest = key.rpartition("://")
    host, _, path = rest.strip("/").partition("/")
    host = host.lower().removesuffix(":443")
    if host in DOCKER_HUB_HOSTS:
        host = DOCKER_HUB
    return host if scheme or not path or path in ("v1", "v2") else f"{host}/{path}"


def names_of(host: str, repository: str) -> list[str]:
    """The names under which credentials for a repository may be kept, the most specific first."""
    parts = [registry_key(host), *filter(None, repository.split("/"))]
    return ["/".join(parts[:end]) for end in range(len(parts), 0, -1)]
