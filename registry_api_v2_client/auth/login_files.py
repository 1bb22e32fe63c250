"""The files in which ``docker login`` and ``podman login`` keep logins.

Docker: https://docs.docker.com/reference/cli/docker/login/#credential-stores
Podman: https://github.com/containers/image/blob/main/docs/containers-auth.json.5.md
"""

import base64
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from ..exceptions import CredentialsError
from ..json_document import parse_json
from .credentials import Credentials, SecretKind, registry_key


@dataclass(frozen=True, slots=True)
class Logins:
    """What one file holds, by registry key: secrets, and the helpers that keep others."""

    secrets: Mapping[str, Credentials] = field(default_factory=dict)
    helpers: Mapping[str, str] = field(default_factory=dict)
    """``credHelpers``: the credential helper for one registry."""
    store: str | None = None
    """``credsStore``: the credential helper for all others."""


class LoginFile:
    """A login file, read again when it has changed."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._version: tuple[int, ...] | None = None
        self._logins = Logins()

    def read(self) -> Logins:
        """What the file says now; empty if there is no file.

        Raises:
            CredentialsError: the file is there, but cannot be read or is not a login file.
        """
        try:
            status = self._path.stat()
            version = (status.st_mtime_ns, status.st_size, status.st_ino)
            if version != self._version:
                self._logins = _parse(self._path.read_bytes())
                self._version = version
        except (FileNotFoundError, NotADirectoryError):
            self._logins, self._version = Logins(), None
        except OSError as error:
            raise CredentialsError(f"{self._path} cannot be read: {error.strerror}") from error
        except (ValueError, AttributeError, TypeError, RecursionError) as error:
            # The cause is left out: it may quote the file.
            raise CredentialsError(
                f"{self._path} is not a file of registry logins as docker and podman write them"
            ) from error
        return self._logins


def login_files() -> list[LoginFile]:
    """Docker's file, then those of Podman."""
    return [LoginFile(path) for path in (*docker_config_paths(), *podman_auth_paths())]


def docker_config_paths() -> list[Path]:
    """``$DOCKER_CONFIG/config.json``, or the one in the home folder."""
    folder = os.environ.get("DOCKER_CONFIG")
    folders = [Path(folder)] if folder else _in_home(".docker")
    return [folder / "config.json" for folder in folders]


def podman_auth_paths() -> list[Path]:
    """``$REGISTRY_AUTH_FILE``, or else the files for this login session and for this user."""
    if chosen := os.environ.get("REGISTRY_AUTH_FILE"):
        return [Path(chosen)]
    session = os.environ.get("XDG_RUNTIME_DIR")
    folders = [Path(session)] if session else []
    config = os.environ.get("XDG_CONFIG_HOME")
    folders += [Path(config)] if config else _in_home(".config")
    return [folder / "containers" / "auth.json" for folder in folders]


def _in_home(name: str) -> list[Path]:
    """That folder; none for a user without a home, as a number that a container is given."""
    try:
        return [Path.home() / name]
    except RuntimeError:
        return []


def _parse(content: bytes) -> Logins:
    document = parse_json(content)
    secrets = {
        registry_key(key): _entry(value) for key, value in (document.get("auths") or {}).items()
    }
    helpers = document.get("credHelpers") or {}
    return Logins(
        {key: credentials for key, credentials in secrets.items() if credentials},
        {registry_key(key): _name(helper) for key, helper in helpers.items()},
        _name(document.get("credsStore") or "") or None,
    )


def _entry(value: Mapping[str, Any]) -> Credentials | None:
    """One of ``auths``; None for the empty ones that docker writes when a helper has the secret."""
    username, password = value.get("username") or "", value.get("password") or ""
    if value.get("auth"):
        decoded = base64.b64decode(value["auth"], validate=True).decode()
        username, _, password = decoded.partition(":")
        # Docker pads it with NUL bytes.
        password = password.rstrip("\0")
    if token := value.get("registrytoken"):
        return Credentials(username, _text(token), SecretKind.REGISTRY_TOKEN)
    if token := value.get("identitytoken"):
        return Credentials(username, _text(token), SecretKind.IDENTITY_TOKEN)
    return Credentials(_text(username), _text(password)) if username else None


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise TypeError("not a string")
    return value


def _name(value: object) -> str:
    """The name of a helper, which ends up in a program's name: it must not be a path."""
    name = _text(value)
    if name != Path(name).name:
        raise ValueError("not the name of a helper")
    return name
