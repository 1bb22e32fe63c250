"""Manifests: ``GET``, ``HEAD``, ``PUT`` and ``DELETE`` of ``/v2/<name>/manifests/<reference>``.

Source: https://github.com/opencontainers/distribution-spec/blob/main/spec.md#pulling-manifests,
#pushing-manifests and #deleting-manifests
"""

from dataclasses import dataclass
from typing import Any

from ..descriptors import is_sha256, sha256
from ..exceptions import DigestMismatchError, ManifestUnknownError, ResponseError, TagImmutableError
from ..media_types import ANY_MANIFEST
from ..reference import DOCKER_HUB, named
from .requests import (
    DIGEST_HEADER,
    STORED,
    Endpoint,
    json_object,
    path,
    pull,
    push,
    request_context,
)

_ACCEPT = {"Accept": ", ".join(ANY_MANIFEST)}


@dataclass(frozen=True, slots=True)
class Manifest:
    """A manifest as the registry returned it. ``registry`` is its host as references name it."""

    raw: bytes
    media_type: str
    digest: str
    registry: str

    def document(self) -> dict[str, Any]:
        """Raises ProtocolError: it is not a JSON object."""
        with request_context(self.registry):
            return json_object(self.raw, "manifest")


class Manifests:
    """The manifests and tags of a registry's repositories."""

    def __init__(self, endpoint: Endpoint) -> None:
        self._endpoint = endpoint

    async def digest(self, repository: str, reference: str) -> str | None:
        """The digest that the registry states for a tag or digest; None if nothing is there."""
        async with self._endpoint.request(
            "HEAD",
            path(repository, "manifests", reference),
            scope=pull(repository),
            what=f"HEAD of manifest {named(repository, reference)}",
            ok={200, 404},
            headers=_ACCEPT,
        ) as answer:
            if answer.status == 404:
                return None
            said = answer.headers.get(DIGEST_HEADER)
        # The specification lets the registry leave its digest out.
        return said or (await self.get(repository, reference)).digest

    async def get(self, repository: str, reference: str) -> Manifest:
        """The manifest under a tag or digest.

        Raises:
            NameUnknownError, ManifestUnknownError: there is none.
            DigestMismatchError: its bytes do not match the digest that was requested, or that the
                registry states.
        """
        try:
            async with self._endpoint.request(
                "GET",
                path(repository, "manifests", reference),
                scope=pull(repository),
                what=f"manifest {named(repository, reference)}",
                ok={200},
                headers=_ACCEPT,
            ) as answer:
                digest = sha256(answer.body)
                for expected in (reference, answer.headers.get(DIGEST_HEADER, "")):
                    if is_sha256(expected) and expected != digest:
                        raise DigestMismatchError(
                            f"{self._endpoint.host} gave {digest} as manifest {expected} of "
                            f"{repository}",
                            status=200,
                        )
        except ResponseError as error:
            if error.status == 404:
                raise error.restated(
                    ManifestUnknownError,
                    f"{self._endpoint.host} has no image {named(repository, reference)}",
                ) from error
            raise
        media_type = answer.headers.get("Content-Type", "").partition(";")[0].strip()
        return Manifest(answer.body, media_type, digest, self._endpoint.name)

    async def stored_digest(self, repository: str, reference: str) -> str | None:
        """The digest of the manifest under a tag or digest, computed from its bytes, or None.

        Raises:
            DigestMismatchError: the bytes do not match the digest that the registry states.
        """
        if self._endpoint.name == DOCKER_HUB:
            # Every GET counts against the pull limit there, so the digest that it states has to
            # suffice.
            # Source: https://docs.docker.com/docker-hub/usage/pulls/
            return await self.digest(repository, reference)
        try:
            return (await self.get(repository, reference)).digest
        except ManifestUnknownError:
            return None

    async def put(
        self, repository: str, reference: str, raw: bytes, media_type: str, digest: str
    ) -> bool:
        """Store a manifest under its digest or a tag.

        Returns whether the registry lists it among the referrers of its ``subject``.

        Raises:
            DigestMismatchError: the registry computed a different digest.
            TagImmutableError: the tag names another manifest and cannot be moved.
            UnsupportedError: the registry does not accept manifests of that media type.
        """
        try:
            async with self._endpoint.request(
                "PUT",
                path(repository, "manifests", reference),
                scope=push(repository),
                what=f"manifest {named(repository, reference)} ({media_type})",
                ok=STORED,
                headers={"Content-Type": media_type},
                body=raw,
            ) as answer:
                self._endpoint.check_digest(answer, digest)
                return "OCI-Subject" in answer.headers
        except TagImmutableError:
            # Amazon ECR refuses even the image that the tag names already:
            # https://github.com/aws/containers-roadmap/issues/2380
            if await self.digest(repository, reference) != digest:
                raise
            return False

    async def delete(self, repository: str, digest: str) -> bool:
        """Delete a manifest and its tags; False where there was none.

        Raises:
            UnsupportedError: deletes are switched off at this registry.
        """
        async with self._endpoint.request(
            "DELETE",
            path(repository, "manifests", digest),
            scope=f"repository:{repository}:delete",
            what=f"delete of {repository}@{digest}",
            ok={200, 202, 204, 404},
        ) as answer:
            return answer.status != 404
