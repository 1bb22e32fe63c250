"""Finds the credentials for a repository, wherever they are kept."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Self, TypeVar

from .credential_helpers import CredentialHelpers
from .credentials import Credentials, names_of, registry_key
from .login_files import LoginFile, login_files

T = TypeVar("T")


class CredentialStore:
    """Credentials from several places; the first place that has some wins.

    First come those ``given`` by the caller, by host, then the login ``files``. In each file, the
    helper for the registry comes before the helper for all, and this before the file's own secrets.
    """

    def __init__(
        self,
        given: Mapping[str, Credentials] | None = None,
        files: Sequence[LoginFile] = (),
        helpers: CredentialHelpers | None = None,
    ) -> None:
        self._given = {registry_key(key): value for key, value in (given or {}).items()}
        self._files = files
        self._helpers = helpers or CredentialHelpers()

    @classmethod
    def default(cls, given: Mapping[str, Credentials] | None = None) -> Self:
        """The given credentials, then the logins of docker and Podman.

        Raises:
            CredentialsError: one of their files cannot be read.
        """
        files = login_files()
        for file in files:
            file.read()
        return cls(given, files)

    def add(self, host: str, credentials: Credentials) -> None:
        """Use these for the registry at ``host[:port]`` from now on, before all others."""
        self._given[registry_key(host)] = credentials

    async def find(
        self, host: str, repository: str = "", *, refresh: bool = False
    ) -> Credentials | None:
        """Credentials for ``host[:port]``, or for a repository there; ``None`` means anonymous.

        ``refresh`` asks helpers again instead of taking their last answer.

        Raises:
            CredentialsError: a login file cannot be read, or a credential helper failed.
        """
        names = names_of(host, repository)
        if found := _first(self._given, names):
            return found
        for file in self._files:
            # A home folder can be on a slow network.
            logins = await asyncio.to_thread(file.read)
            helper = _first(logins.helpers, names) or logins.store
            if helper and (found := await self._helpers.find(helper, names[-1], refresh=refresh)):
                return found
            if found := _first(logins.secrets, names):
                return found
        return None


def _first(mapping: Mapping[str, T], names: Sequence[str]) -> T | None:
    return next((mapping[name] for name in names if name in mapping), None)
