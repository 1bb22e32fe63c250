"""Blobs: ``GET`` and ``HEAD`` of ``/v2/<name>/blobs/<digest>``.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-blobs
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from ..descriptors import is_sha256, sha256
from ..exceptions import BlobUnknownError, DigestMismatchError, ProtocolError
from ..http.messages import Answer, Sink
from .requests import Endpoint, json_object, number, path, pull
from .transport import REDIRECTS


class Blobs:
    """The blobs of a registry's repositories."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def has(self, repository: str, digest: str, size: int | None = None) -> bool:
        """Whether the repository has the blob, in ``size`` bytes if that is given.

        A redirect to the registry's storage counts as yes. It is not followed: the storage may
        refuse a HEAD request to a URL that is signed for GET.
        Source: https://github.com/containerd/stargz-snapshotter/pull/167

        Raises:
            DigestMismatchError, ProtocolError: the registry has something else under that digest.
        """
        async with self._endpoint.request(
            "HEAD",
            path(repository, "blobs", digest),
            scope=pull(repository),
            what=f"HEAD of blob {digest} in {repository}",
            ok={200, 404, *REDIRECTS},
        ) as answer:
            if answer.status == 404:
                return False
            self._endpoint.check_digest(answer, digest)
            self._check_size(answer, digest, size)
            return True

    async def json(self, repository: str, digest: str) -> dict[str, Any]:
        """A small blob that is a JSON object: a config.

        Raises:
            BlobUnknownError: it is not in that repository.
            DigestMismatchError: the registry returned something else.
            ProtocolError: it is not a JSON object.
        """
        async with self._get(repository, digest) as answer:
            if is_sha256(digest) and sha256(answer.body) != digest:
                raise DigestMismatchError(
                    f"{self._endpoint.host} gave {sha256(answer.body)} as blob {digest} of "
                    f"{repository}",
                    status=200,
                )
            return json_object(answer.body, f"blob {digest}")

    async def read(self, repository: str, digest: str, sink: Sink) -> None:
        """Hand the bytes of a blob to ``sink``, in pieces. The caller compares their digest.

        Raises:
            BlobUnknownError: it is not in that repository.
        """
        async with self._get(repository, digest, sink):
            return

    @asynccontextmanager
    async def _get(
        self, repository: str, digest: str, sink: Sink | None = None
    ) -> AsyncIterator[Answer]:
        async with self._endpoint.request(
            "GET",
            path(repository, "blobs", digest),
            scope=pull(repository),
            what=f"GET of blob {digest} in {repository}",
            ok={200, 404},
            sink=sink,
        ) as answer:
            if answer.status == 404:
                raise BlobUnknownError(
                    f"{self._endpoint.host}: {repository} has no blob {digest}",
                    status=404,
                    code="BLOB_UNKNOWN",
                )
            yield answer

    def _check_size(self, answer: Answer, digest: str, size: int | None) -> None:
        """A registry whose storage lost bytes still reports the blob as present."""
        held = number(answer.headers.get("Content-Length", ""))
        if answer.status == 200 and size and held and held != size:
            raise ProtocolError(
                f"{self._endpoint.host} holds {held} bytes as blob {digest}, which has {size}; "
                "delete it there, or have the registry's storage checked",
                status=200,
            )
