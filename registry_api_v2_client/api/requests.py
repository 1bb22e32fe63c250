"""What the sections of the registry API share: sending a request and checking its answer.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import re
from collections.abc import AsyncIterator, Collection, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from typing import Any

from yarl import URL

from ..exceptions import DigestMismatchError, ProtocolError, RegistryError
from ..http.messages import Answer, Body, Request, Sink
from ..http.named_hosts import joined
from ..json_document import JsonDocumentError, parse_json
from ..reference import DOCKER_HUB, DOCKER_HUB_API
from .transport import Transport

STORED = frozenset({200, 201, 202, 204})
"""Statuses for accepted bytes. The specification says 202 for PATCH and 201 for PUT.

Amazon ECR answers 201 to PATCH: https://github.com/openai/tart/issues/273
"""
DIGEST_HEADER = "Docker-Content-Digest"

_NUMBER = re.compile(r"[0-9]{1,18}")


class Endpoint:
    """The API of one registry: where it is, and how every request gets there."""

    def __init__(self, transport: Transport, url: URL) -> None:
        self.url = url
        self._transport = transport

    @property
    def host(self) -> str:
        return self.url.host_port_subcomponent or ""

    @property
    def name(self) -> str:
        """The host as references name it. Docker Hub's API is at another host."""
        return DOCKER_HUB if self.host == DOCKER_HUB_API else self.host

    @asynccontextmanager
    async def request(
        self,
        method: str,
        target: str | URL,
        *,
        scope: str,
        what: str,
        ok: Collection[int],
        query: Mapping[str, str] | None = None,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        sink: Sink | None = None,
        commits: bool = False,
    ) -> AsyncIterator[Answer]:
        """Send a request. Its answer is checked inside ``async with``.

        Errors of the request and of the checks get the registry, method and URL. ``target`` is a
        path below the registry's URL, or a URL that the registry returned. The other arguments are
        those of ``Transport.request``.
        """
        url = self.url / target.lstrip("/") if isinstance(target, str) else target
        request = Request(
            method,
            url.extend_query(query) if query else url,
            self.url,
            headers or {},
            body,
            sink,
            commits,
        )
        with request_context(self.name, method, url):
            yield await self._transport.request(request, scope=scope, what=what, ok=ok)

    def join(self, answer: Answer, address: str) -> URL:
        """The URL for an address in an answer, which may be relative to the answer's own URL."""
        try:
            return joined(answer.url, address)
        except ValueError as error:
            raise ProtocolError(
                f"{self.host} sent an unusable address", status=answer.status
            ) from error

    def check_digest(self, answer: Answer, digest: str) -> None:
        """Compare with the digest in the answer, which the specification makes optional."""
        theirs = answer.headers.get(DIGEST_HEADER)
        if theirs and theirs != digest:
            raise DigestMismatchError(
                f"{self.host} stored {theirs} instead of {digest}", status=answer.status
            )


@contextmanager
def request_context(
    registry: str, method: str | None = None, url: URL | None = None
) -> Iterator[None]:
    """Add the registry and the request to errors raised inside."""
    try:
        yield
    except RegistryError as error:
        error.registry = registry
        error.method = method
        # A query may carry a signature.
        error.url = str(url.with_user(None).with_query(None)) if url else None
        raise


def path(repository: str, kind: str, name: str) -> str:
    return f"/v2/{repository}/{kind}/{name}"


# Scopes: https://distribution.github.io/distribution/spec/auth/scope/


def pull(repository: str) -> str:
    return f"repository:{repository}:pull"


def push(repository: str) -> str:
    return f"repository:{repository}:pull,push"


def number(text: str) -> int | None:
    """The number in a header, or None if there is none."""
    return int(text) if _NUMBER.fullmatch(text) else None


def json_object(content: bytes, what: str) -> dict[str, Any]:
    """Raises ProtocolError: ``content`` is not a JSON object."""
    try:
        document = parse_json(content)
    except JsonDocumentError as error:
        raise ProtocolError(f"{what}: the answer {error}", status=200) from error
    if not isinstance(document, dict):
        raise ProtocolError(f"{what}: the answer is not an object", status=200)
    return document
