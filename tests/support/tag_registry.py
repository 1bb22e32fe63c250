"""A fake registry client: the digests that tags name, and the manifests that exist."""

from types import SimpleNamespace
from typing import Any, cast

from registry_api_v2_client import ManifestUnknownError, RegistryClient

MEDIA_TYPE = "a manifest"


class TagRegistry:
    """All registries in one. Tags are by reference; any digest but those in ``gone`` is there.

    Attributes:
        puts: references written by the client's user, in order.
    """

    def __init__(self) -> None:
        self.tags: dict[str, str] = {}
        self.gone: set[str] = set()
        self.puts: list[str] = []
        self.fails: Exception | None = None
        self.fails_to_put: Exception | None = None

    @property
    def client(self) -> RegistryClient:
        return cast(RegistryClient, self)

    def registry(self, host: str) -> Any:
        async def digest_of(repository: str, tag: str) -> str | None:
            if self.fails:
                raise self.fails
            return self.tags.get(f"{host}/{repository}:{tag}")

        async def get(repository: str, digest: str) -> Any:
            if digest in self.gone:
                raise ManifestUnknownError("gone", status=404)
            return SimpleNamespace(raw=digest.encode(), media_type=MEDIA_TYPE)

        async def put(repository: str, tag: str, raw: bytes, media_type: str, digest: str) -> None:
            assert (raw, media_type) == (digest.encode(), MEDIA_TYPE)
            if self.fails_to_put:
                raise self.fails_to_put
            self.puts.append(f"{host}/{repository}:{tag}")
            self.tags[f"{host}/{repository}:{tag}"] = digest

        return SimpleNamespace(manifests=SimpleNamespace(digest=digest_of, get=get, put=put))
