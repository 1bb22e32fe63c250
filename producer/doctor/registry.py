"""Whether a registry can be reached, and takes an upload with the login for it."""

from collections.abc import AsyncIterator
from typing import NamedTuple

from producer.doctor.finding import Finding, ok, problem
from producer.operator import registry_named
from registry_api_v2_client import RegistryClient
from registry_api_v2_client.exceptions import (
    CredentialsError,
    DeniedError,
    NameUnknownError,
    ProtocolError,
    ProxyError,
    RegistryError,
    RegistryTimeoutError,
    RegistryUnavailableError,
    ResponseError,
    TLSError,
    UnauthorizedError,
)
from registry_api_v2_client.reference import parse_reference

_NO_REGISTRY = "check that it is a registry, and not a page or a proxy before it"

_ADVICE: tuple[tuple[type[RegistryError], str], ...] = (
    (TLSError, ""),
    (ProxyError, ""),
    (RegistryTimeoutError, "see whether a firewall drops the packets, or a proxy is needed"),
    (RegistryUnavailableError, "check its name and port, and whether it runs"),
    (UnauthorizedError, "where there is no docker, set PUSH_QUEUE_REGISTRY_AUTH"),
    (CredentialsError, "check the login for {host} in PUSH_QUEUE_REGISTRY_AUTH or config.json"),
    (DeniedError, "give this login the right to push to {repository}"),
    (ProtocolError, _NO_REGISTRY),
    (NameUnknownError, ""),
    (ResponseError, "see the registry's log"),
)
"""What to do about each kind of error; the first that fits. Empty where the error says that."""


class Place(NamedTuple):
    """A registry, and the repository to try there, if any."""

    host: str
    repository: str = ""

    @classmethod
    def parse(cls, text: str) -> "Place":
        """Of ``registry`` or ``registry/repository``, with or without a tag.

        Raises:
            ValidationError: it is neither.
        """
        if "/" not in text:
            return cls(registry_named(text))
        reference = parse_reference(text)
        return cls(reference.registry, reference.repository)

    @property
    def name(self) -> str:
        return f"{self.host}/{self.repository}" if self.repository else self.host


async def check(client: RegistryClient, place: Place) -> AsyncIterator[Finding]:
    """What is found of a registry. An upload is begun and given up, so nothing is left there."""
    subject = place.name
    registry = client.registry(place.host)
    try:
        try:
            await registry.ping()
        except NameUnknownError as error:
            # Of its root, not of a repository.
            yield problem(subject, str(error), _NO_REGISTRY)
            return
        if not place.repository:
            await registry.sign_in()
            yield ok(
                subject,
                f"answers at {registry.url}",
                f"name a repository, to try an upload: push-queue doctor {place.host}/team/app",
            )
            return
        yield ok(subject, f"answers at {registry.url}")
        await registry.uploads.abandon(await registry.uploads.start(place.repository))
        yield ok(subject, "takes uploads with this login")
    except RegistryError as error:
        yield problem(subject, str(error), _advice(error, place))


def _advice(error: RegistryError, place: Place) -> str:
    found = next((advice for kind, advice in _ADVICE if isinstance(error, kind)), "")
    return found.format(host=place.host, repository=place.repository)
