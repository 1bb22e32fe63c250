"""Whatever fails in a request to a registry says which registry and which request it was."""

from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from registry_api_v2_client.api.registry import Registry
from registry_api_v2_client.api.transport import Transport
from registry_api_v2_client.descriptors import sha256
from registry_api_v2_client.exceptions import (
    BlobUnknownError,
    DigestMismatchError,
    ManifestUnknownError,
    NameUnknownError,
    ProtocolError,
    RegistryError,
    RegistryUnavailableError,
    ServerError,
    UnsupportedError,
    UploadUnknownError,
)
from registry_api_v2_client.http.messages import Answer, Request

API = "https://registry-1.docker.io/v2"
DIGEST = "sha256:" + "a" * 64
OTHER = "sha256:" + "b" * 64


class Scripted:
    """In place of a transport: gives the one answer, or fails."""

    def __init__(self, outcome: Answer | RegistryError) -> None:
        self._outcome = outcome

    async def request(self, request: Request, **_: Any) -> Answer:
        if isinstance(self._outcome, RegistryError):
            raise self._outcome
        return self._outcome


def answer(status: int = 200, body: bytes = b"", **headers: str) -> Answer:
    named = CIMultiDict({name.replace("_", "-"): value for name, value in headers.items()})
    return Answer(status, CIMultiDictProxy(named), body, URL(API))


Step = Callable[[Registry], Awaitable[object]]


@pytest.mark.parametrize(
    ("outcome", "step", "kind", "method", "path"),
    [
        pytest.param(
            RegistryUnavailableError("away"),
            lambda registry: registry.ping(),
            RegistryUnavailableError,
            *("GET", "/"),
            id="the request fails",
        ),
        pytest.param(
            answer(Docker_Content_Digest=OTHER),
            lambda registry: registry.blobs.has("app", DIGEST),
            DigestMismatchError,
            *("HEAD", f"/app/blobs/{DIGEST}"),
            id="another digest",
        ),
        pytest.param(
            answer(Content_Length="9"),
            lambda registry: registry.blobs.has("app", DIGEST, 10),
            ProtocolError,
            *("HEAD", f"/app/blobs/{DIGEST}"),
            id="another size",
        ),
        pytest.param(
            answer(404),
            lambda registry: registry.blobs.json("app", DIGEST),
            BlobUnknownError,
            *("GET", f"/app/blobs/{DIGEST}"),
            id="no blob",
        ),
        pytest.param(
            answer(body=b"[]"),
            lambda registry: registry.blobs.json("app", sha256(b"[]")),
            ProtocolError,
            *("GET", f"/app/blobs/{sha256(b'[]')}"),
            id="no JSON object",
        ),
        pytest.param(
            NameUnknownError("no", status=404),
            lambda registry: registry.manifests.get("app", "1"),
            ManifestUnknownError,
            *("GET", "/app/manifests/1"),
            id="no manifest",
        ),
        pytest.param(
            answer(202),
            lambda registry: registry.uploads.start("app"),
            ProtocolError,
            *("POST", "/app/blobs/uploads/"),
            id="an upload without Location",
        ),
        pytest.param(
            NameUnknownError("no", status=404),
            lambda registry: registry.uploads.start("app"),
            NameUnknownError,
            *("POST", "/app/blobs/uploads/"),
            id="no repository",
        ),
        pytest.param(
            NameUnknownError("no", status=404),
            lambda registry: registry.uploads.offset(noted(registry)),
            UploadUnknownError,
            *("GET", "/app/blobs/uploads/1"),
            id="no upload",
        ),
        pytest.param(
            ServerError("no streams", status=501),
            lambda registry: registry.uploads.stream(noted(registry), cast(Any, None)),
            UploadUnknownError,
            *("PATCH", "/app/blobs/uploads/1"),
            id="no streams",
        ),
        pytest.param(
            answer(body=b'{"tags": 1}'),
            lambda registry: registry.catalog.tags("app"),
            ProtocolError,
            *("GET", "/app/tags/list"),
            id="not a list",
        ),
        pytest.param(
            NameUnknownError("no", status=404),
            lambda registry: registry.catalog.repositories(),
            UnsupportedError,
            *("GET", "/_catalog"),
            id="no catalog",
        ),
    ],
)
async def test_an_error_says_where_it_came_from(
    outcome: Answer | RegistryError, step: Step, kind: type[RegistryError], method: str, path: str
) -> None:
    registry = Registry(cast(Transport, Scripted(outcome)), API.removesuffix("/v2"))
    with pytest.raises(kind) as caught:
        await step(registry)
    error = caught.value
    assert (error.registry, error.method, error.url) == ("docker.io", method, f"{API}{path}")


def noted(registry: Registry) -> Any:
    return registry.uploads.noted("app", f"{API}/app/blobs/uploads/1?_state=secret")


async def test_a_manifest_that_is_no_object_says_whose_it_is() -> None:
    registry = Registry(cast(Transport, Scripted(answer(body=b"[]"))), API.removesuffix("/v2"))
    manifest = await registry.manifests.get("app", "1")
    with pytest.raises(ProtocolError, match="manifest") as caught:
        manifest.document()
    assert caught.value.registry == "docker.io"
