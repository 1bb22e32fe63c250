"""The registry HTTP API, one method an operation.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md
"""

import re
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

from yarl import URL

from ..digests import is_sha256, sha256
from ..exceptions import (
    BlobUnknownError,
    DigestMismatchError,
    ManifestUnknownError,
    NameUnknownError,
    ProtocolError,
    RegistryError,
    ResponseError,
    TagImmutableError,
    UnauthorizedError,
    UnsupportedError,
    UploadUnknownError,
)
from ..http.named_hosts import joined, usable
from ..json_document import JsonDocumentError, parse_json
from ..media_types import ANY_MANIFEST, OCTET_STREAM
from ..reference import DOCKER_HUB, DOCKER_HUB_API
from .quirks import Quirks, quirks_of
from .transport import PIECE, Answer, Body, Pieces, Sink, Transport

E = TypeVar("E", bound=RegistryError)

_PAGE = 1000
_MAX_PAGES = 10_000
_MAX_NAMES = 1_000_000
"""Pages and names of one list; a registry that has more has no end, as far as anybody can tell."""
_PLAIN_PATH = re.compile(r"(?:/(?!\.\.?(?:/|$))[^/\\]+)+/?")
"""Without what servers may leave out, as ``//`` and ``..``, and end elsewhere."""
_COUNT = re.compile(r"[0-9]{1,18}")
_ACCEPT_MANIFEST = ", ".join(ANY_MANIFEST)
_DIGEST_HEADER = "Docker-Content-Digest"

_REDIRECTS = {301, 302, 303, 307, 308}
_STORED = {200, 201, 202, 204}
"""What registries answer for bytes taken; the specification has 202 for PATCH and 201 for PUT.

Amazon ECR answers 201 to PATCH: https://github.com/openai/tart/issues/273
"""
_NO_STREAM = {307, 308, 411, 413, 501}
"""How a registry, or a proxy before it, refuses a body whose length it does not know or like, or
that it wants elsewhere: a stream cannot be sent again, chunks can."""


@dataclass(slots=True)
class UploadSession:
    """An upload under way. Every answer brings a new ``location``; only the newest is good.

    Attributes:
        offset: bytes that the registry holds.
        chunk: bytes to send in one request; None: all of them in one stream.
    """

    repository: str
    location: URL
    offset: int = 0
    chunk: int | None = None


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as ``registry``, a host as references name it, gave it."""

    raw: bytes
    media_type: str
    digest: str
    registry: str

    def document(self) -> dict[str, Any]:
        """Raises ProtocolError: it is no JSON object."""
        return _object(self.raw, "manifest", self.registry)


class Registry:
    """One registry at ``url``, over a transport that may be shared with others.

    It remembers whether the registry refuses streams; ``quirks`` is what is known before.
    """

    def __init__(
        self, transport: Transport, url: str | URL, *, quirks: Quirks | None = None
    ) -> None:
        self.url = URL(url)
        self._transport = transport
        self._quirks = quirks or quirks_of(self.host)
        self._wants_chunks = False

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

    async def has_blob(self, repository: str, digest: str, size: int | None = None) -> bool:
        """Whether the blob, of ``size`` bytes if that is known, is in that repository.

        One that is in storage elsewhere is there: the storage is not asked, since it may refuse a
        HEAD by an address that is signed for GET.
        Source: https://github.com/containerd/stargz-snapshotter/pull/167

        Raises:
            DigestMismatchError, ProtocolError: the registry has something else under that digest.
        """
        answer = await self._request(
            "HEAD",
            _path(repository, "blobs", digest),
            scope=_pull(repository),
            what=f"HEAD of blob {digest} in {repository}",
            ok={200, 404, *_REDIRECTS},
        )
        if answer.status == 404:
            return False
        self._check_digest(answer, digest)
        held = _count(answer.headers.get("Content-Length", ""))
        if answer.status == 200 and size and held and held != size:
            # A registry whose storage lost bytes keeps saying that it has the blob.
            raise self._own(
                ProtocolError(
                    f"{self.host} holds {held} bytes as blob {digest}, which has {size}; delete it "
                    "there, or have the registry's storage checked",
                    status=200,
                )
            )
        return True

    async def json_blob(self, repository: str, digest: str) -> dict[str, Any]:
        """A small blob that is a JSON object: a config.

        Raises:
            BlobUnknownError: it is not in that repository.
            DigestMismatchError: the registry gave something else.
        """
        answer = await self._request(
            "GET",
            _path(repository, "blobs", digest),
            scope=_pull(repository),
            what=f"GET of blob {digest} in {repository}",
            ok={200, 404},
        )
        if answer.status == 404:
            raise self._unknown_blob(repository, digest)
        if is_sha256(digest) and sha256(answer.body) != digest:
            raise self._own(
                DigestMismatchError(
                    f"{self.host} gave {sha256(answer.body)} as blob {digest} of {repository}",
                    status=200,
                )
            )
        return _object(answer.body, f"blob {digest}", self.name)

    async def read_blob(self, repository: str, digest: str, sink: Sink) -> None:
        """Hand the bytes of a blob to ``sink``, in pieces; whoever asks compares their digest.

        Raises:
            BlobUnknownError: it is not in that repository.
        """
        answer = await self._request(
            "GET",
            _path(repository, "blobs", digest),
            scope=_pull(repository),
            what=f"GET of blob {digest} in {repository}",
            ok={200, 404},
            sink=sink,
        )
        if answer.status == 404:
            raise self._unknown_blob(repository, digest)

    async def start_upload(self, repository: str) -> UploadSession:
        """Open an upload session.

        Raises:
            NameUnknownError: the registry does not create repositories by itself.
        """
        try:
            answer = await self._request(
                "POST",
                _path(repository, "blobs", "uploads/"),
                scope=_push(repository),
                what=f"start of an upload to {repository}",
                ok={202},
            )
        except NameUnknownError as error:
            # Amazon ECR, Google Artifact Registry, Harbor's projects, Artifactory's repositories.
            raise self._own(
                NameUnknownError(
                    f"{error}; create {repository} at the registry first",
                    status=error.status,
                    code=error.code,
                )
            ) from error
        return self._session(repository, answer)

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
        if answer.status == 202:
            return self._session(repository, answer)
        self._check_digest(answer, digest)
        return None

    def session_at(self, repository: str, location: str) -> UploadSession | None:
        """A session that was noted in a place that others may write to, if it can be ours.

        That is an address of the registry's own origin, and of its API nothing but an upload to
        this repository: a request to anything else could do what whoever wrote the note may not.
        Google's registries keep their uploads outside of the API.
        """
        try:
            url = usable(URL(location, encoded=True))
            own = _origin(url) == _origin(self.url)
        except ValueError:
            return None
        upload = (
            rf"{re.escape(self.url.path.rstrip('/'))}/v2/{re.escape(repository)}/blobs/uploads?"
        )
        ours = "/v2/" not in url.path or re.fullmatch(rf"{upload}/[^/]+/?", url.path)
        if not (own and ours and _PLAIN_PATH.fullmatch(url.path)):
            return None
        return UploadSession(repository, url)

    async def upload_offset(self, session: UploadSession) -> int:
        """Bytes that the registry holds of an interrupted upload, to go on from there.

        Zero, unasked, where the registry's word is not to be trusted.

        Raises:
            UploadUnknownError: it does not know the session any more, or cannot continue it.
        """
        if not self._quirks.resumes:
            return 0
        answer = await self._in_session(
            session,
            "GET",
            session.location,
            what=f"state of an upload to {session.repository}",
            ok={200, 202, 204},
        )
        session.location = self._location(session.repository, answer, session.location)
        session.chunk = self._quirks.chunk_size(answer.headers, wanted=self._wants_chunks)
        last = _count(answer.headers.get("Range", "").rpartition("-")[2])
        # distribution answers 0-0 for nothing as well as for one byte; neither is worth keeping.
        session.offset = last + 1 if last else 0
        return session.offset

    async def upload_blocks(
        self, session: UploadSession, blocks: AsyncIterable[memoryview]
    ) -> None:
        """Stream bytes of unknown total into the session, in one PATCH.

        Raises:
            UploadUnknownError: the registry takes no stream; the next session has a ``chunk``.
        """
        try:
            answer = await self._in_session(
                session,
                "PATCH",
                session.location,
                what=f"upload to {session.repository}",
                headers={"Content-Type": OCTET_STREAM},
                body=blocks,
            )
        except ResponseError as error:
            # 416 says that bytes do not fit what is there already; to nothing they always fit.
            refused = error.status in _NO_STREAM or (error.status == 416 and not session.offset)
            if not refused or self._quirks.chunk is None:
                raise
            self._wants_chunks = True
            raise self._own(
                UploadUnknownError(
                    f"{error}; trying in chunks", status=error.status, code=error.code
                )
            ) from error
        session.location = self._location(session.repository, answer, session.location)

    async def upload_chunk(self, session: UploadSession, content: bytes) -> None:
        """Send the next bytes of the blob, ``session.chunk`` of them; the last go with the PUT.

        How many the registry has is counted here: Amazon ECR's Range stands still.
        """
        answer = await self._send_content(
            session, "PATCH", session.location, content, what=f"upload to {session.repository}"
        )
        session.location = self._location(session.repository, answer, session.location)
        session.offset += len(content)

    async def finish_upload(
        self, session: UploadSession, digest: str, content: bytes = b""
    ) -> None:
        """Close the session as blob ``digest``, with the last (or only) bytes of it.

        Raises:
            DigestMismatchError: the registry holds other bytes.
        """
        answer = await self._send_content(
            session,
            "PUT",
            _with_digest(session.location, digest),
            content,
            what=f"end of the upload of {digest} to {session.repository}",
            commits=True,
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
            DigestMismatchError: its bytes are not what the registry says, or was asked for.
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
                raise self._own(
                    ManifestUnknownError(
                        f"{self.host} has no image {repository}:{reference}",
                        status=404,
                        code=error.code,
                    )
                ) from error
            raise
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        digest = sha256(answer.body)
        for claim in (reference, answer.headers.get(_DIGEST_HEADER, "")):
            if is_sha256(claim) and claim != digest:
                raise self._own(
                    DigestMismatchError(
                        f"{self.host} gave {digest} as manifest {claim} of {repository}", status=200
                    )
                )
        return Manifest(answer.body, media_type, digest, self.name)

    async def stored_digest(self, repository: str, reference: str) -> str | None:
        """Digest of what a tag or digest gives, by its bytes; None when it gives nothing.

        Raises:
            DigestMismatchError: the bytes are not what the registry says.
        """
        if self.name == DOCKER_HUB:
            # Every GET counts against the pull limit there, so its word has to do.
            # Source: https://docs.docker.com/docker-hub/usage/pulls/
            return await self.manifest_digest(repository, reference)
        try:
            return (await self.manifest(repository, reference)).digest
        except ManifestUnknownError:
            return None

    async def put_manifest(
        self, repository: str, reference: str, raw: bytes, media_type: str, digest: str
    ) -> bool:
        """Store a manifest under its digest or a tag.

        Returns whether the registry lists it among the referrers of its ``subject``.

        Raises:
            DigestMismatchError: the registry computed another digest than ``digest``.
            TagImmutableError: the tag stands for something else, for good.
            UnsupportedError: the registry takes no manifests of that media type.
        """
        try:
            return await self._put_manifest(repository, reference, raw, media_type, digest)
        except TagImmutableError:
            # Amazon ECR refuses the same image, too:
            # https://github.com/aws/containers-roadmap/issues/2380
            if await self.manifest_digest(repository, reference) != digest:
                raise
            return False

    async def _put_manifest(
        self, repository: str, reference: str, raw: bytes, media_type: str, digest: str
    ) -> bool:
        answer = await self._request(
            "PUT",
            _path(repository, "manifests", reference),
            scope=_push(repository),
            what=f"manifest {repository}:{reference} ({media_type})",
            ok=_STORED,
            headers={"Content-Type": media_type},
            body=raw,
        )
        self._check_digest(answer, digest)
        return "OCI-Subject" in answer.headers

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
        """All repositories of the registry.

        Raises:
            UnsupportedError: the registry lets nobody, or not us, list them.
        """
        pages = self._pages(
            "/v2/_catalog", scope="registry:catalog:*", what="catalog", field="repositories"
        )
        try:
            return [name async for page in pages for name in page]
        except ResponseError as error:
            # Docker Hub: 401 whoever asks, https://github.com/docker/hub-feedback/issues/2094
            if error.status not in (401, 403, 404, 405):
                raise
            raise self._own(
                UnsupportedError(
                    f"{error}; this registry does not list its repositories to this login",
                    status=error.status,
                    code=error.code,
                )
            ) from error

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
        names = 0
        while url is not None and url not in seen:
            if len(seen) == _MAX_PAGES or names > _MAX_NAMES:
                raise self._own(
                    ProtocolError(f"{self.host}: {what}: the list has no end", status=200)
                )
            seen.add(url)
            answer = await self._request("GET", url, scope=scope, what=what, ok={200})
            # A repository whose last tag was deleted has "tags": null.
            page = _object(answer.body, what, self.name).get(field) or []
            if not isinstance(page, list) or not all(isinstance(name, str) for name in page):
                raise self._own(
                    ProtocolError(
                        f"{self.host}: {what}: {field} is not a list of names", status=200
                    )
                )
            yield page
            names += len(page)
            url = self._next_page(answer)

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
        sink: Sink | None = None,
        commits: bool = False,
    ) -> Answer:
        url = self.url / target.lstrip("/") if isinstance(target, str) else target
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
                sink=sink,
                commits=commits,
            )
        except RegistryError as error:
            self._own(error)
            raise

    async def _in_session(
        self,
        session: UploadSession,
        method: str,
        url: URL,
        *,
        what: str,
        ok: Collection[int] = _STORED,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        commits: bool = False,
    ) -> Answer:
        """A request of an upload under way, for which a plain 404 means that it is not.

        Artifactory at times, and proxies: https://github.com/GoogleContainerTools/jib/issues/3399
        """
        scope = _push(session.repository)
        try:
            return await self._request(
                method,
                url,
                scope=scope,
                what=what,
                ok=ok,
                headers=headers,
                body=body,
                commits=commits,
            )
        except NameUnknownError as error:
            if error.code:
                raise
            raise self._own(UploadUnknownError(str(error), status=error.status)) from error

    async def _send_content(
        self,
        session: UploadSession,
        method: str,
        url: URL,
        content: bytes,
        *,
        what: str,
        commits: bool = False,
    ) -> Answer:
        """Send the next bytes of a blob, with their place in it where they are not all of it.

        The only bytes go without: registries take Content-Range for a chunk, and may have a limit
        for those. Source: https://github.com/openai/tart/pull/179
        """
        headers = {"Content-Type": OCTET_STREAM, "Content-Length": str(len(content))}
        if content and (session.offset or method == "PATCH"):
            headers["Content-Range"] = f"{session.offset}-{session.offset + len(content) - 1}"
        body = Pieces(content) if len(content) > PIECE else content
        return await self._in_session(
            session, method, url, what=what, headers=headers, body=body, commits=commits
        )

    def _session(self, repository: str, answer: Answer) -> UploadSession:
        chunk = self._quirks.chunk_size(answer.headers, wanted=self._wants_chunks)
        return UploadSession(repository, self._location(repository, answer), chunk=chunk)

    def _unknown_blob(self, repository: str, digest: str) -> BlobUnknownError:
        return self._own(
            BlobUnknownError(
                f"{self.host}: {repository} has no blob {digest}", status=404, code="BLOB_UNKNOWN"
            )
        )

    def _location(self, repository: str, answer: Answer, known: URL | None = None) -> URL:
        location = answer.headers.get("Location")
        if not location:
            if known:
                return known
            raise self._own(
                ProtocolError(
                    f"{self.host}: the answer to an upload to {repository} has no Location",
                    status=answer.status,
                )
            )
        return self._join(answer, location)

    def _join(self, answer: Answer, address: str) -> URL:
        """An address that the registry gave, absolute or relative to where it gave it."""
        try:
            return joined(answer.url, address)
        except ValueError as error:
            raise self._own(
                ProtocolError(f"{self.host} sent an unusable address", status=answer.status)
            ) from error

    def _next_page(self, answer: Answer) -> URL | None:
        """``Link: <url>; rel="next"``; of the same host, whatever a proxy makes the registry say.

        Source: https://www.rfc-editor.org/rfc/rfc8288#section-3
        """
        link = answer.headers.get("Link", "")
        start, end = link.find("<"), link.find(">")
        if start < 0 or end < start or "next" not in link[end:]:
            return None
        return self.url.join(self._join(answer, link[start + 1 : end]).relative())

    def _check_digest(self, answer: Answer, digest: str) -> None:
        """Compare with the registry's own digest, which the specification lets it leave out."""
        theirs = answer.headers.get(_DIGEST_HEADER)
        if theirs and theirs != digest:
            raise self._own(
                DigestMismatchError(
                    f"{self.host} stored {theirs} instead of {digest}", status=answer.status
                )
            )

    def _own(self, error: E) -> E:
        return _failure_of(self.name, error)


def _path(repository: str, kind: str, name: str) -> str:
    return f"/v2/{repository}/{kind}/{name}"


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.host, url.port


def _with_digest(location: URL, digest: str) -> URL:
    separator = "&" if location.raw_query_string else "?"
    return URL(f"{location}{separator}digest={digest}", encoded=True)


def _pull(repository: str) -> str:
    return f"repository:{repository}:pull"


def _push(repository: str) -> str:
    return f"repository:{repository}:pull,push"


def _count(text: str) -> int | None:
    return int(text) if _COUNT.fullmatch(text) else None


def _object(content: bytes, what: str, registry: str) -> dict[str, Any]:
    try:
        document = parse_json(content)
    except JsonDocumentError as error:
        raise _failure_of(
            registry, ProtocolError(f"{what}: the answer {error}", status=200)
        ) from error
    if not isinstance(document, dict):
        raise _failure_of(
            registry, ProtocolError(f"{what}: the answer is not an object", status=200)
        )
    return document


def _failure_of(registry: str, error: E) -> E:
    """The error, with ``registry`` as the one that failed."""
    error.registry = registry
    return error
