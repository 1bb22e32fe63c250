"""Uploads of blobs: ``POST /v2/<name>/blobs/uploads/``, and ``PATCH``, ``PUT``, ``GET`` and
``DELETE`` of the session that it opens.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pushing-blobs
"""

import asyncio
import re
from collections.abc import AsyncIterable, AsyncIterator, Collection, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass

from yarl import URL

from ..exceptions import (
    NameUnknownError,
    ProtocolError,
    RegistryError,
    ResponseError,
    UploadUnknownError,
)
from ..http.messages import Answer, Body, Pace, Pieces, at_once
from ..http.named_hosts import usable
from ..media_types import OCTET_STREAM
from .endable_body import EndableBody
from .requests import STORED, Endpoint, number, path, pull, push
from .upload_quirks import Quirks

_NO_STREAM = frozenset({307, 308, 411, 413, 501})
"""How a registry, or a proxy in front of it, refuses or redirects a body of unknown or too great
length. A stream cannot be sent again, chunks can."""
_END_SECONDS = 2.0
"""How long a stream that is cancelled may take to end in order."""
_PLAIN_PATH = re.compile(r"(?:/(?!\.\.?(?:/|$))[^/\\]+)+/?")
"""A path without ``//`` and ``..``, which servers may resolve to another path."""


@dataclass(slots=True)
class UploadSession:
    """An upload under way. Every answer brings a new ``location``; only the newest is valid.

    Attributes:
        offset: bytes that the registry holds.
        chunk: bytes to send in one request; None means all of them in one stream.
    """

    repository: str
    location: URL
    offset: int = 0
    chunk: int | None = None


class Uploads:
    """Upload sessions at a registry. Remembers whether the registry refuses streams."""

    def __init__(self, endpoint: Endpoint, quirks: Quirks) -> None:
        self._endpoint = endpoint
        self._quirks = quirks
        self._wants_chunks = False

    async def start(self, repository: str) -> UploadSession:
        """Open an upload session.

        Raises:
            NameUnknownError: the registry does not create repositories by itself.
        """
        try:
            async with self._endpoint.request(
                "POST",
                path(repository, "blobs", "uploads/"),
                scope=push(repository),
                what=f"start of an upload to {repository}",
                ok={202},
            ) as answer:
                return self._session(repository, answer)
        except NameUnknownError as error:
            # Amazon ECR, Google Artifact Registry, Harbor's projects, Artifactory's repositories.
            advice = f"create {repository} at the registry first"
            if not error.code:  # any web server answers so
                advice = f"see whether {self._endpoint.host} is a registry; if so, {advice}"
            raise error.restated(NameUnknownError, f"{error}; {advice}") from error

    async def mount(self, repository: str, digest: str, source: str) -> UploadSession | None:
        """Mount a blob from another repository of this registry; no bytes are sent.

        Returns None when it is mounted, or an upload session where the registry declined.
        """
        async with self._endpoint.request(
            "POST",
            path(repository, "blobs", "uploads/"),
            query={"mount": digest, "from": source},
            scope=f"{push(repository)} {pull(source)}",
            what=f"mount of {digest} from {source} to {repository}",
            ok={201, 202},
        ) as answer:
            if answer.status == 202:
                return self._session(repository, answer)
            self._endpoint.check_digest(answer, digest)
            return None

    def noted(self, repository: str, location: str) -> UploadSession | None:
        """The session at a noted location, if it can be one of ours.

        Others may be able to write the note, and must not make us send a request that they may not
        send. So it has to be an address of the registry's own origin and, within the API, an upload
        to this repository. Google's registries keep their uploads outside the API.
        """
        own = self._endpoint.url
        try:
            url = usable(URL(location, encoded=True))
            same_origin = _origin(url) == _origin(own)
        except ValueError:
            return None
        upload = rf"{re.escape(own.path.rstrip('/'))}/v2/{re.escape(repository)}/blobs/uploads?"
        ours = "/v2/" not in url.path or re.fullmatch(rf"{upload}/[^/]+/?", url.path)
        if not (same_origin and ours and _PLAIN_PATH.fullmatch(url.path)):
            return None
        return UploadSession(repository, url)

    async def offset(self, session: UploadSession) -> int:
        """Bytes that the registry holds of an interrupted upload, to go on from there.

        Zero, without a request, where the registry's count cannot be trusted.

        Raises:
            UploadUnknownError: it no longer knows the session, or cannot continue it.
        """
        if not self._quirks.resumes:
            return 0
        async with self._in_session(
            session,
            "GET",
            session.location,
            what=f"state of an upload to {session.repository}",
            ok={200, 202, 204},
        ) as answer:
            session.location = self._location(session.repository, answer, session.location)
            session.chunk = self._quirks.chunk_size(answer.headers, wanted=self._wants_chunks)
            last = number(answer.headers.get("Range", "").rpartition("-")[2])
            # distribution answers 0-0 for nothing and for one byte; neither is worth keeping.
            session.offset = last + 1 if last else 0
            return session.offset

    async def stream(self, session: UploadSession, blocks: AsyncIterable[memoryview]) -> None:
        """Stream bytes of unknown total into the session, in one PATCH.

        Cancelled, it ends the PATCH early and in order, so that the session has a location by which
        it can be deleted or resumed. distribution 2.8 forgets one whose PATCH breaks off.

        Raises:
            UploadUnknownError: the registry does not accept a stream; the next session has a
                ``chunk``.
        """
        body = EndableBody(blocks)
        patch = asyncio.create_task(self._patch(session, body))
        try:
            await asyncio.shield(patch)
        except asyncio.CancelledError:
            body.end()
            await asyncio.wait({patch}, timeout=_END_SECONDS)
            raise
        except ResponseError as error:
            # 416 means that the bytes do not follow those already stored, so not with none stored.
            refused = error.status in _NO_STREAM or (error.status == 416 and not session.offset)
            if not refused or self._quirks.chunk is None:
                raise
            self._wants_chunks = True
            raise error.restated(UploadUnknownError, f"{error}; trying in chunks") from error
        finally:
            patch.cancel()
            await asyncio.wait({patch})

    async def _patch(self, session: UploadSession, body: AsyncIterable[memoryview]) -> None:
        async with self._in_session(
            session,
            "PATCH",
            session.location,
            what=f"upload to {session.repository}",
            headers={"Content-Type": OCTET_STREAM},
            body=body,
        ) as answer:
            session.location = self._location(session.repository, answer, session.location)

    async def chunk(self, session: UploadSession, content: bytes, pace: Pace = at_once) -> None:
        """Send the next bytes of the blob, ``session.chunk`` of them; the last go with the PUT.

        The offset is counted here: Amazon ECR's Range stays at the first chunk.
        """
        async with self._content(
            session,
            "PATCH",
            session.location,
            content,
            pace,
            what=f"upload to {session.repository}",
        ) as answer:
            session.location = self._location(session.repository, answer, session.location)
            session.offset += len(content)

    async def finish(
        self, session: UploadSession, digest: str, content: bytes = b"", pace: Pace = at_once
    ) -> None:
        """Close the session as blob ``digest``, with the last (or only) bytes of it.

        Raises:
            DigestMismatchError: the registry holds other bytes.
        """
        async with self._content(
            session,
            "PUT",
            _with_digest(session.location, digest),
            content,
            pace,
            what=f"end of the upload of {digest} to {session.repository}",
            commits=True,
        ) as answer:
            self._endpoint.check_digest(answer, digest)

    async def abandon(self, session: UploadSession) -> None:
        """Tell the registry to forget the session. Best effort: it would expire there anyway."""
        try:
            async with self._endpoint.request(
                "DELETE",
                session.location,
                scope=push(session.repository),
                what=f"end of an upload to {session.repository}",
                ok={200, 202, 204, 404, 405},
            ):
                return
        except RegistryError:
            return

    @asynccontextmanager
    async def _in_session(
        self,
        session: UploadSession,
        method: str,
        url: URL,
        *,
        what: str,
        ok: Collection[int] = STORED,
        headers: Mapping[str, str] | None = None,
        body: Body | None = None,
        commits: bool = False,
    ) -> AsyncIterator[Answer]:
        """A request within a session. A 404 without an error code means that the session is gone.

        Artifactory and proxies answer so: https://github.com/GoogleContainerTools/jib/issues/3399
        """
        try:
            async with self._endpoint.request(
                method,
                url,
                scope=push(session.repository),
                what=what,
                ok=ok,
                headers=headers,
                body=body,
                commits=commits,
            ) as answer:
                yield answer
        except NameUnknownError as error:
            if error.code:
                raise
            raise error.restated(UploadUnknownError, str(error)) from error

    def _content(
        self,
        session: UploadSession,
        method: str,
        url: URL,
        content: bytes,
        pace: Pace,
        *,
        what: str,
        commits: bool = False,
    ) -> AbstractAsyncContextManager[Answer]:
        """Send the next bytes of a blob, with their range if they are only part of it.

        A whole blob is sent without Content-Range, which would make it a chunk: registries may
        limit the size of chunks. Source: https://github.com/openai/tart/pull/179
        """
        headers = {"Content-Type": OCTET_STREAM, "Content-Length": str(len(content))}
        if content and (session.offset or method == "PATCH"):
            headers["Content-Range"] = f"{session.offset}-{session.offset + len(content) - 1}"
        body = Pieces(content, pace) if content else content
        return self._in_session(
            session, method, url, what=what, headers=headers, body=body, commits=commits
        )

    def _session(self, repository: str, answer: Answer) -> UploadSession:
        chunk = self._quirks.chunk_size(answer.headers, wanted=self._wants_chunks)
        return UploadSession(repository, self._location(repository, answer), chunk=chunk)

    def _location(self, repository: str, answer: Answer, known: URL | None = None) -> URL:
        location = answer.headers.get("Location")
        if location:
            return self._endpoint.join(answer, location)
        if known:
            return known
        raise ProtocolError(
            f"{self._endpoint.host}: the answer to an upload to {repository} has no Location",
            status=answer.status,
        )


def _origin(url: URL) -> tuple[str, str | None, int | None]:
    return url.scheme, url.host, url.port


def _with_digest(location: URL, digest: str) -> URL:
    separator = "&" if location.raw_query_string else "?"
    return URL(f"{location}{separator}digest={digest}", encoded=True)
