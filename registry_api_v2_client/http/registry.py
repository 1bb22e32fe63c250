"""The registry HTTP API, one method an operation.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import json
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Any

from yarl import URL

from ..digests import sha256
from ..exceptions import (
    BlobUnknownError,
    DigestMismatchError,
    ManifestUnknownError,
    ProtocolError,
    RegistryError,
    ResponseError,
    UnauthorizedError,
)
from ..media_types import ANY_MANIFEST, OCTET_STREAM
from ..reference import DOCKER_HUB, DOCKER_HUB_API
from .transport import Answer, Body, Transport

_PAGE = 1000
_ACCEPT_MANIFEST = ", ".join(ANY_MANIFEST)
_DIGEST_HEADER = "Docker-Content-Digest"


@dataclass(slots=True)
class UploadSession:
    """An upload under way. Every answer brings a new ``location``; only the newest is good."""

    repository: str
    location: URL


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as the registry gave it."""

    raw: bytes
    media_type: str
    digest: str

    def document(self) -> dict[str, Any]:
        return _object(self.raw, "manifest")


class Registry:
    """One registry at ``url``, over a transport that may be shared with others."""

    def __init__(self, transport: Transport, url: str | URL) -> None:
        self.url = URL(url)
        self._transport = transport

    @property
    def host(self) -> str:
        return self.url.host_port_subcomponent or ""

    @property
    def name(self) -> str:
        """The host as references name it, which for Docker Hub is not where its API is."""
        return DOCKER_HUB if self.host == DOCKER_HUB_API else self.host

    async def ping(self) -> None:
        """Ask for ``/v2/``; a registry that wants authentication is there, too.

        Raises:
            RegistryError: no answer, or not that of a registry.
        """
        try:
            await self._request("GET", "/v2/", scope="", what="/v2/", ok={200})
        except UnauthorizedError:
            return

    # Blobs

    async def blob_size(self, repository: str, digest: str) -> int | None:
        """Bytes of the blob in that repository, or None where it is not there."""
        answer = await self._request(
            "HEAD",
            _path(repository, "blobs", digest),
            scope=_pull(repository),
            what=f"HEAD of blob {digest} in {repository}",
            ok={200, 404},
        )
        return int(answer.headers.get("Content-Length", 0)) if answer.status == 200 else None

    async def json_blob(self, repository: str, digest: str) -> dict[str, Any]:
        """A small blob that is a JSON object: a config.

        Raises:
            BlobUnknownError: it is not in that repository.
        """
        answer = await self._request(
            "GET",
            _path(repository, "blobs", digest),
            scope=_pull(repository),
            what=f"GET of blob {digest} in {repository}",
            ok={200, 404},
        )
        if answer.status == 404:
            raise BlobUnknownError(
                f"{self.host}: {repository} has no blob {digest}", status=404, code="BLOB_UNKNOWN"
            )
        return _object(answer.body, f"blob {digest}")

    async def start_upload(self, repository: str) -> UploadSession:
        answer = await self._request(
            "POST",
            _path(repository, "blobs", "uploads/"),
            scope=_push(repository),
            what=f"start of an upload to {repository}",
            ok={202},
        )
        return UploadSession(repository, self._location(repository, answer))

    async def mount(self, repository: str, digest: str, source: str) -> UploadSession | None:
        """Mount a blob from another repository of this registry; no bytes are sent.

        Returns None when it is mounted, or an upload session where the registry declined.
        """
        answer = await self._request(
            "POST",
            _path(repository, "blobs", "uploads/"),
            query={"mount": digest, "from": source},
            scope=f"{_push(repository)} {_pull(source)}",
            what=f"mount of {digest} from {source} to {repository}",
            ok={201, 202},
        )
        if answer.status == 201:
            return None
        return UploadSession(repository, self._location(repository, answer))

    async def upload_offset(self, session: UploadSession) -> int:
        """Bytes that the registry holds of an interrupted upload.

        Raises:
            UploadUnknownError: it does not know the session any more, or cannot continue it.
        """
        answer = await self._request(
            "GET",
            session.location,
            scope=_push(session.repository),
            what=f"state of an upload to {session.repository}",
            ok={200, 202, 204},
        )
        session.location = self._location(session.repository, answer, session.location)
        last = answer.headers.get("Range", "").rpartition("-")[2]
        # distribution answers 0-0 for nothing as well as for one byte; neither is worth keeping.
        return int(last) + 1 if last.isdecimal() and int(last) > 0 else 0

    async def upload_blocks(
        self, session: UploadSession, blocks: AsyncIterable[memoryview]
    ) -> None:
        """Stream bytes of unknown total into the session, in one PATCH."""
        answer = await self._request(
            "PATCH",
            session.location,
            scope=_push(session.repository),
            what=f"upload to {session.repository}",
            ok={202, 201, 204},
            headers={"Content-Type": OCTET_STREAM},
            body=blocks,
        )
        session.location = self._location(session.repository, answer)

    async def finish_upload(
        self, session: UploadSession, digest: str, content: bytes = b""
    ) -> None:
        """Close the session as blob ``digest``, with the last (or only) bytes of it.

        Raises:
            DigestMismatchError: the registry holds other bytes.
        """
        answer = await self._request(
            "PUT",
            _with_digest(session.location, digest),
            scope=_push(session.repository),
            what=f"end of the upload of {digest} to {session.repository}",
            ok={201, 204},
            headers={"Content-Type": OCTET_STREAM},
            body=content,
        )
        self._check_digest(answer, digest)

    async def abandon_upload(self, session: UploadSession) -> None:
        """Tell the registry to forget the session. Best effort: it would expire there anyway."""
        try:
            await self._request(
                "DELETE",
                session.location,
                scope=_push(session.repository),
                what=f"end of an upload to {session.repository}",
                ok={200, 202, 204, 404, 405},
            )
        except RegistryError:
            return

    # Manifests

    async def manifest_digest(self, repository: str, reference: str) -> str | None:
        """Digest of what a tag or digest stands for; None when there is no such manifest."""
        answer = await self._request(
            "HEAD",
            _path(repository, "manifests", reference),
            scope=_pull(repository),
            what=f"HEAD of manifest {repository}:{reference}",
            ok={200, 404},
            headers={"Accept": _ACCEPT_MANIFEST},
        )
        if answer.status == 404:
            return None
        # The specification lets the registry leave its digest out.
        return (
            answer.headers.get(_DIGEST_HEADER)
            or (await self.manifest(repository, reference)).digest
        )

    async def manifest(self, repository: str, reference: str) -> Manifest:
        """The manifest under a tag or digest.

        Raises:
            NameUnknownError, ManifestUnknownError: there is none.
        """
        try:
            answer = await self._request(
                "GET",
                _path(repository, "manifests", reference),
                scope=_pull(repository),
                what=f"manifest {repository}:{reference}",
                ok={200},
                headers={"Accept": _ACCEPT_MANIFEST},
            )
        except ResponseError as error:
            if error.status == 404:
                raise ManifestUnknownError(
                    f"{self.host} has no image {repository}:{reference}",
                    status=404,
                    code=error.code,
                ) from error
            raise
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        digest = answer.headers.get(_DIGEST_HEADER) or sha256(answer.body)
        return Manifest(answer.body, media_type, digest)

    async def put_manifest(
        self, repository: str, reference: str, raw: bytes, media_type: str, digest: str
    ) -> None:
        """Store a manifest under its digest or a tag.

        Raises:
            DigestMismatchError: the registry computed another digest than ``digest``.
        """
        answer = await self._request(
            "PUT",
            _path(repository, "manifests", reference),
            scope=_push(repository),
            what=f"manifest {repository}:{reference}",
            ok={200, 201, 202},
            headers={"Content-Type": media_type},
            body=raw,
        )
        self._check_digest(answer, digest)

    async def delete_manifest(self, repository: str, digest: str) -> bool:
        """Delete a manifest and its tags; False where there was none.

        Raises:
            UnsupportedError: deletes are switched off at this registry.
        """
        answer = await self._request(
            "DELETE",
            _path(repository, "manifests", digest),
            scope=f"repository:{repository}:delete",
            what=f"delete of {repository}@{digest}",
            ok={200, 202, 204, 404},
        )
        return answer.status != 404

    # Lists

    async def repositories(self) -> list[str]:
        """All repositories of the registry."""
        pages = self._pages(
            "/v2/_catalog", scope="registry:catalog:*", what="catalog", field="repositories"
        )
        return [name async for page in pages for name in page]

    async def tags(self, repository: str) -> list[str]:
        """All tags of a repository.

        Raises:
            NameUnknownError: there is no such repository.
        """
        pages = self._pages(
            _path(repository, "tags", "list"),
            scope=_pull(repository),
            what=f"tags of {repository}",
            field="tags",
        )
        return [tag async for page in pages for tag in page]

    async def _pages(
        self, path: str, *, scope: str, what: str, field: str
    ) -> AsyncIterator[list[str]]:
        url: URL | None = (self.url / path.lstrip("/")).with_query(n=_PAGE)
        seen: set[URL] = set()
        while url is not None and url not in seen:
            seen.add(url)
            answer = await self._request("GET", url, scope=scope, what=what, ok={200})
            # A repository whose last tag was deleted has "tags": null.
            page = _object(answer.body, what).get(field) or []
            if not isinstance(page, list):
                raise ProtocolError(f"{self.host}: {what}: {field} is not a list", status=200)
            yield [str(item) for item in page]
            url = _next_page(answer)

    # Plumbing

    async def _request(
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
    ) -> Answer:
        url = self.url.join(URL(target)) if isinstance(target, str) else target
        try:
            return await self._transport.request(
                method,
                url.extend_query(query) if query else url,
                registry=self.url,
                scope=scope,
                what=what,
                ok=ok,
                headers=headers,
                body=body,
            )
        except RegistryError as error:
            error.registry = self.name
            raise

    def _location(self, repository: str, answer: Answer, known: URL | None = None) -> URL:
        location = answer.headers.get("Location")
        if not location:
            if known:
                return known
            raise ProtocolError(
                f"{self.host}: the answer to an upload to {repository} has no Location",
                status=answer.status,
            )
        # The query carries the registry's signed state: it must come back byte for byte.
        return answer.url.join(URL(location, encoded=True))

    def _check_digest(self, answer: Answer, digest: str) -> None:
        """Compare with the registry's own digest, which the specification lets it leave out."""
        theirs = answer.headers.get(_DIGEST_HEADER)
        if theirs and theirs != digest:
            raise DigestMismatchError(
                f"{self.host} stored {theirs} instead of {digest}", status=answer.status
            )


def _path(repository: str, kind: str, name: str) -> str:
    return f"/v2/{repository}/{kind}/{name}"


def _with_digest(location: URL, digest: str) -> URL:
    separator = "&" if location.raw_query_string else "?"
    return URL(f"{location}{separator}digest={digest}", encoded=True)


def _pull(repository: str) -> str:
    return f"repository:{repository}:pull"


def _push(repository: str) -> str:
    return f"repository:{repository}:pull,push"


def _next_page(answer: Answer) -> URL | None:
    """``Link: <url>; rel="next"``. Source: https://www.rfc-editor.org/rfc/rfc5988#section-5"""
    link = answer.headers.get("Link", "")
    start, end = link.find("<"), link.find(">")
    if start < 0 or end < start or "next" not in link[end:]:
        return None
    return answer.url.join(URL(link[start + 1 : end], encoded=True))


def _object(content: bytes, what: str) -> dict[str, Any]:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"{what}: the answer is not JSON", status=200) from error
    if not isinstance(document, dict):
        raise ProtocolError(f"{what}: the answer is not an object", status=200)
    return document
