"""Who we are at a registry: credentials given by the caller, else those of ``docker login``.

Docker's file: https://docs.docker.com/reference/cli/docker/login/#credential-stores
"""

import base64
import json
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

from ..exceptions import CredentialsError
from ..reference import DOCKER_HUB, DOCKER_HUB_API

_DOCKER_HUB_KEYS = ("https://index.docker.io/v1/", "index.docker.io", DOCKER_HUB, DOCKER_HUB_API)


@dataclass(frozen=True, slots=True)
class Credentials:
    """A user name and a secret: a password, or a token that the registry takes as one."""

    username: str
    password: str = field(repr=False)


class CredentialStore:
    """Finds the credentials for a registry host; ``None`` is anonymous."""

    def __init__(
        self,
        given: Mapping[str, Credentials] | None = None,
        docker_auths: Mapping[str, Credentials] | None = None,
    ) -> None:
        """``given`` are by host and come first; ``docker_auths`` have docker's keys."""
        self._given = dict(given or {})
        self._docker = {_host_of(key): value for key, value in (docker_auths or {}).items()}

    @classmethod
    def default(cls, given: Mapping[str, Credentials] | None = None) -> Self:
        """The given credentials, then docker's ``config.json`` where there is one."""
        return cls(given, read_docker_config(docker_config_path()))

    def find(self, host: str) -> Credentials | None:
        """Credentials for ``host[:port]``."""
        host = _host_of(host)
        return self._given.get(host) or self._docker.get(host)


def docker_config_path() -> Path:
    """``$DOCKER_CONFIG/config.json``, or the one in the home folder."""
    folder = os.environ.get("DOCKER_CONFIG")
    return (Path(folder) if folder else Path.home() / ".docker") / "config.json"


def read_docker_config(path: Path) -> dict[str, Credentials]:
    """The ``auths`` of a docker ``config.json`` by key; empty where there is no such file.

    Raises:
        CredentialsError: the file is there, but cannot be read or is not what docker writes.
    """
    try:
        auths = json.loads(path.read_bytes()).get("auths") or {}
        entries = {key: _entry(value) for key, value in auths.items()}
    except (FileNotFoundError, NotADirectoryError):
        return {}
    except OSError as error:
        raise CredentialsError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, AttributeError, TypeError) as error:
        raise CredentialsError(f"{path} is not a docker config.json with auths") from error
    return {key: credentials for key, credentials in entries.items() if credentials}


def _entry(value: Mapping[str, Any]) -> Credentials | None:
    if value.get("auth"):
        username, _, password = (
            base64.b64decode(value["auth"], validate=True).decode().partition(":")
        )
        return Credentials(username, password.rstrip("\0"))
    if value.get("username"):
        return Credentials(value["username"], value.get("password") or "")
    return None


def _host_of(key: str) -> str:
    """Docker's keys are hosts or URLs, and Docker Hub has several names."""
    if key in _DOCKER_HUB_KEYS:
        return DOCKER_HUB
    return key.partition("://")[2].partition("/")[0] if "://" in key else key.partition("/")[0]
