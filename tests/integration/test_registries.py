"""Registries that differ, each replaying the exchange that is documented for it.

Sources are in docs/reference/registries.md, which names these tests. The scripts stand for the
registry: a request that is not in one fails the test.
"""

import hashlib
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from registry_api_v2_client.api.registry import Registry
from registry_api_v2_client.api.transport import Transport
from registry_api_v2_client.api.upload_quirks import Quirks, quirks_of
from registry_api_v2_client.descriptors import BlobInfo
from registry_api_v2_client.exceptions import (
    DeniedError,
    DigestMismatchError,
    NameUnknownError,
    ProtocolError,
    RateLimitedError,
    ResponseError,
    TagImmutableError,
    UnsupportedError,
)
from registry_api_v2_client.push.compression import CompressionPolicy
from registry_api_v2_client.push.engine import ImagePusher
from registry_api_v2_client.push.ledger import MemoryLedger
from registry_api_v2_client.push.progress import ignore_progress
from registry_api_v2_client.push.repository_blobs import RepositoryBlobs
from registry_api_v2_client.push.send_rate import Unlimited
from registry_api_v2_client.push.sources import BytesSource
from registry_api_v2_client.push.upload_limits import LocalLimits
from registry_api_v2_client.push.uploads import OpenUploads
from registry_api_v2_client.retry import Retrier
from tests.support.images import (
    docker_legacy,
    make_image,
    sha256_digest,
    to_json,
    write_archive,
)
from tests.support.proxy import FaultProxy, is_blob_put, is_patch
from tests.support.pushes import FEW_AND_FAST
from tests.support.pushes import push as push_image
from tests.support.scripted_server import Exchange, Reply, ScriptedServer
from tests.support.skopeo import skopeo_copy_to_dir
from tests.support.spec_registry import SpecRegistry

pytestmark = pytest.mark.integration

ECR = "123456789012.dkr.ecr.eu-west-1.amazonaws.com"
GAR = "europe-docker.pkg.dev"
ACR = "myregistry.azurecr.io"
GHCR = "ghcr.io"
OTHER = "registry.example.com"

KEEP = CompressionPolicy.KEEP
MIB = 1 << 20
PIECE = 256 << 10
BLOB = b"".join(hashlib.sha256(n.to_bytes(4)).digest() * (PIECE // 32) for n in range(40))
"""Ten MiB of which no two pieces are alike."""
DIGEST = sha256_digest(BLOB)
SMALL = b'{"architecture":"amd64"}'
SMALL_DIGEST = sha256_digest(SMALL)
MANIFEST = b'{"schemaVersion":2}'
MANIFEST_DIGEST = sha256_digest(MANIFEST)
OTHER_DIGEST = f"sha256:{'0' * 64}"
OCI = "application/vnd.oci.image.manifest.v1+json"

RETRIER = Retrier(FEW_AND_FAST, LocalLimits().failed)
START = "/v2/app/blobs/uploads/"
TOKEN = b'{"token": "let-me-in"}'
TOKEN_SENT = {"Authorization": "Bearer let-me-in"}
STREAMED = {"Transfer-Encoding": "chunked"}
SECRET = "_state=kept%2Bas%3Dit-is"


# Exchanges ---------------------------------------------------------------------------------------


def problem(status: int, code: str, message: str, detail: object = None) -> Reply:
    """An error as the specification words it."""
    return Reply(
        status, body=to_json({"errors": [{"code": code, "message": message, "detail": detail}]})
    )


def session(number: int) -> str:
    return f"/upload/{number}?{SECRET}"


def accepted(location: str | None, status: int = 202, /, **headers: str) -> Reply:
    fields = {name.replace("_", "-"): value for name, value in headers.items()}
    return Reply(status, fields | ({"Location": location} if location else {}))


def start(reply: Reply) -> Exchange:
    return Exchange("POST", START, reply, {"Content-Length": "0"})


def stream(location: str, reply: Reply, content: bytes = BLOB) -> Exchange:
    return Exchange(
        "PATCH", location, reply, STREAMED, without=["Content-Range"], check=same_as(content)
    )


def end(location: str, reply: Reply, digest: str = DIGEST) -> Exchange:
    """The PUT after everything has been sent."""
    return Exchange(
        "PUT",
        f"{location}&digest={digest}",
        reply,
        {"Content-Length": "0"},
        without=["Content-Range"],
    )


def small(location: str, reply: Reply) -> Exchange:
    """A small blob in one PUT of known length."""
    return Exchange(
        "PUT",
        f"{location}&digest={SMALL_DIGEST}",
        reply,
        {"Content-Length": str(len(SMALL))},
        without=["Content-Range", "Transfer-Encoding"],
        check=same_as(SMALL),
    )


def chunks(size: int, replies: Callable[[int], Reply], first: int = 10) -> list[Exchange]:
    """The blob in chunks to the sessions from `first` on, the last of them with the PUT."""
    exchanges = []
    for number, begin in enumerate(range(0, len(BLOB), size), start=first):
        content = BLOB[begin : begin + size]
        last = begin + size >= len(BLOB)
        exchanges.append(
            Exchange(
                "PUT" if last else "PATCH",
                session(number) + (f"&digest={DIGEST}" if last else ""),
                replies(number + 1),
                {
                    "Content-Length": str(len(content)),
                    "Content-Range": f"{begin}-{begin + len(content) - 1}",
                },
                without=["Transfer-Encoding"],
                check=same_as(content),
            )
        )
    return exchanges


def forget(location: str) -> Exchange:
    return Exchange("DELETE", location, Reply(204))


def head_blob(reply: Reply, digest: str = DIGEST) -> Exchange:
    return Exchange("HEAD", f"/v2/app/blobs/{digest}", reply)


def same_as(expected: bytes) -> Callable[[bytes], None]:
    def check(body: bytes) -> None:
        # Ten MiB make a bad error message.
        assert sha256_digest(body) == sha256_digest(expected), f"{len(body)} other bytes"

    return check


# What is pushed ----------------------------------------------------------------------------------


@asynccontextmanager
async def scripted(
    script: Sequence[Exchange], *, like: str = OTHER, quirks: Quirks | None = None
) -> AsyncIterator[Registry]:
    """A registry that is treated like the one at host `like`, and plays the script."""
    async with ScriptedServer(*script) as server, Transport(timeout=60) as transport:
        yield Registry(transport, server.url, quirks=quirks or quirks_of(like))


class Push:
    """Brings blobs to `app` as the engine does, with its retries."""

    def __init__(self, registry: Registry) -> None:
        self.ledger = MemoryLedger()
        self.uploads = OpenUploads()
        self.blobs = RepositoryBlobs(
            registry,
            "app",
            ledger=self.ledger,
            uploads=self.uploads,
            rate=Unlimited(),
            on_progress=ignore_progress,
        )
        self.source = BytesSource(BLOB, DIGEST, "")

    async def blob(self) -> None:
        """A large blob, whose size is unknown before it has been sent."""

        async def pieces() -> AsyncIterator[memoryview]:
            for begin in range(0, len(BLOB), PIECE):
                yield memoryview(BLOB)[begin : begin + PIECE]

        async def finished() -> BlobInfo:
            return BlobInfo(DIGEST, len(BLOB))

        await RETRIER.run(lambda: self.blobs.send_stream(self.source, pieces(), finished))

    async def small(self) -> None:
        source = BytesSource(SMALL, SMALL_DIGEST, "")
        blob = BlobInfo(SMALL_DIGEST, len(SMALL))
        await RETRIER.run(lambda: self.blobs.send(source, blob, SMALL))

    async def interrupted(self, location: str) -> None:
        """An upload of the large blob was begun earlier."""
        registry = self.blobs.registry
        await self.ledger.remember_upload(
            registry.host, "app", self.source.key, f"{registry.url.origin()}{location}"
        )


async def put_manifest(registry: Registry) -> None:
    await RETRIER.run(lambda: registry.manifests.put("app", "1", MANIFEST, OCI, MANIFEST_DIGEST))


def manifest_put(reply: Reply) -> Exchange:
    return Exchange("PUT", "/v2/app/manifests/1", reply, {"Content-Type": OCI})


# What all registries accept, as docker does it: one stream of unknown length --------------


@pytest.mark.parametrize("like", [ECR, GAR, ACR, GHCR, OTHER])
async def test_a_large_blob_is_one_stream(like: str) -> None:
    script = [
        start(accepted(session(1))),
        stream(session(1), accepted(session(2))),
        end(session(2), Reply(201)),
    ]
    async with scripted(script, like=like) as registry:
        await Push(registry).blob()


@pytest.mark.parametrize("like", [ECR, GAR, ACR, GHCR, OTHER])
async def test_a_small_blob_is_one_put(like: str) -> None:
    script = [start(accepted(session(1))), small(session(1), Reply(201))]
    async with scripted(script, like=like) as registry:
        await Push(registry).small()


@pytest.mark.parametrize("status", [200, 201, 202, 204])
async def test_any_success_will_do(status: int) -> None:
    script = [
        start(accepted(session(1))),
        stream(session(1), accepted(session(2), status)),
        end(session(2), Reply(status)),
        manifest_put(Reply(status)),
    ]
    async with scripted(script) as registry:
        await Push(registry).blob()
        await put_manifest(registry)


async def test_a_location_may_be_absolute_or_relative() -> None:
    async with ScriptedServer() as server:
        server.expect(
            start(accepted(f"{server.url}/upload/1?{SECRET}")),
            stream(session(1), accepted(f"2?{SECRET}")),
            end(session(2), Reply(201)),
        )
        async with Transport(timeout=60) as transport:
            await Push(Registry(transport, server.url)).blob()


async def test_a_patch_that_tells_no_location_leaves_the_one_before() -> None:
    script = [
        start(accepted(session(1))),
        stream(session(1), accepted(None)),
        end(session(1), Reply(201)),
    ]
    async with scripted(script) as registry:
        await Push(registry).blob()


async def test_an_upload_without_a_location_is_an_error() -> None:
    async with scripted([start(accepted(None))]) as registry:
        with pytest.raises(ProtocolError, match="no Location") as caught:
            await Push(registry).blob()
        assert caught.value.registry == registry.host


async def test_an_upload_that_breaks_off_twice_goes_on_at_the_newest_location() -> None:
    broken = Reply(503, {"Retry-After": "0"})

    def state(number: int, held: int) -> Reply:
        return accepted(session(number), 204, Range=f"0-{held - 1}")

    script = [
        start(accepted(session(1))),
        stream(session(1), broken),
        Exchange("GET", session(1), state(2, 3 * MIB)),
        stream(session(2), broken, BLOB[3 * MIB :]),
        Exchange("GET", session(2), state(3, 7 * MIB)),
        stream(session(3), accepted(session(4)), BLOB[7 * MIB :]),
        end(session(4), Reply(201)),
    ]
    async with scripted(script) as registry:
        await Push(registry).blob()


async def test_a_registry_that_stored_other_bytes_is_told_so_in_the_end() -> None:
    stored = Reply(201, {"Docker-Content-Digest": OTHER_DIGEST})
    script = [
        exchange
        for _ in range(3)
        for exchange in (
            start(accepted(session(1))),
            small(session(1), stored),
            forget(session(1)),
        )
    ]
    async with scripted(script) as registry:
        with pytest.raises(DigestMismatchError, match=OTHER_DIGEST) as caught:
            await Push(registry).small()
        assert caught.value.registry == registry.host


# Chunks: what a registry says of them, and when it is asked for them ------------------------------


@pytest.mark.parametrize(
    "headers",
    [
        {"OCI_Chunk_Max_Length": str(3 * MIB)},
        {"OCI_Chunk_Max_Length": str(3 * MIB), "OCI_Chunk_Min_Length": str(MIB)},
    ],
)
async def test_cloudflare_names_the_largest_chunk(headers: Mapping[str, str]) -> None:
    script = [
        start(accepted(session(10), **headers)),
        *chunks(3 * MIB, lambda number: accepted(session(number))),
    ]
    async with scripted(script) as registry:
        await Push(registry).blob()


async def test_cloudflare_s_proxy_refuses_large_bodies_and_gets_chunks() -> None:
    page = Reply(413, {"Content-Type": "text/html"}, b"<html>413 Request Entity Too Large</html>")
    script = [
        start(accepted(session(1))),
        stream(session(1), page),
        forget(session(1)),
        start(accepted(session(10))),
        *chunks(4 * MIB, lambda number: accepted(session(number))),
        start(accepted(session(10))),
        *chunks(4 * MIB, lambda number: accepted(session(number))),
    ]
    async with scripted(script) as registry:
        await Push(registry).blob()
        # It is remembered: the next blob is not sent in vain.
        await Push(registry).blob()


async def test_a_registry_that_wants_large_chunks_gets_them() -> None:
    least = {"OCI_Chunk_Min_Length": str(6 * MIB)}
    script = [
        start(accepted(session(1), **least)),
        stream(session(1), Reply(411)),
        forget(session(1)),
        start(accepted(session(10), **least)),
        *chunks(6 * MIB, lambda number: accepted(session(number))),
    ]
    async with scripted(script) as registry:
        await Push(registry).blob()


async def test_a_blob_of_whole_chunks_ends_with_the_last_of_them() -> None:
    size = 5 * MIB
    assert len(BLOB) % size == 0
    script = [
        start(accepted(session(10), OCI_Chunk_Max_Length=str(size))),
        *chunks(size, lambda number: accepted(session(number))),
    ]
    async with scripted(script, quirks=Quirks(chunk=size)) as registry:
        await Push(registry).blob()


async def test_a_blob_of_less_than_a_chunk_is_one_put() -> None:
    whole = Exchange(
        "PUT",
        f"{session(1)}&digest={DIGEST}",
        Reply(201),
        {"Content-Length": str(len(BLOB))},
        without=["Content-Range"],
        check=same_as(BLOB),
    )
    headers = {"OCI_Chunk_Max_Length": str(50 * MIB)}
    async with scripted(
        [start(accepted(session(1), **headers)), whole], quirks=Quirks(chunk=len(BLOB))
    ) as registry:
        await Push(registry).blob()


async def test_an_upload_in_chunks_goes_on_at_the_newest_location() -> None:
    size = 4 * MIB
    sent = chunks(size, lambda number: accepted(session(number)))
    sent[1] = replace(sent[1], reply=Reply(503, {"Retry-After": "0"}))
    state = {"Range": f"0-{size - 1}", "OCI-Chunk-Max-Length": str(size)}
    script = [
        start(accepted(session(10), OCI_Chunk_Max_Length=str(size))),
        *sent[:2],
        Exchange("GET", session(11), Reply(204, state | {"Location": session(11)})),
        *chunks(size, lambda number: accepted(session(number)))[1:],
    ]
    async with scripted(script) as registry:
        await Push(registry).blob()


async def test_a_token_that_expires_costs_one_chunk() -> None:
    size = 4 * MIB
    sent = chunks(size, lambda number: accepted(session(number)))
    async with ScriptedServer() as server, Transport(timeout=60) as transport:
        realm = f'Bearer realm="{server.url}/token"'
        server.expect(
            start(accepted(session(10), OCI_Chunk_Max_Length=str(size))),
            sent[0],
            replace(sent[1], reply=Reply(401, {"WWW-Authenticate": realm})),
            Exchange("GET", "/token?scope=repository:app:pull,push", Reply(200, body=TOKEN)),
            *(replace(one, headers={**one.headers, **TOKEN_SENT}) for one in sent[1:]),
        )
        await Push(Registry(transport, server.url)).blob()


async def test_distribution_takes_chunks(
    tmp_path: Path,
    pusher: ImagePusher,
    registry_url: str,
    registry_host: str,
    repository: str,
) -> None:
    """The real one, behind a proxy that takes no streams."""
    archive = write_archive(tmp_path / "image.tar", docker_legacy, make_image(BLOB))
    async with FaultProxy(registry_url) as proxy:
        proxy.answer(is_patch, status=413, body=b"<html>413 Request Entity Too Large</html>")
        await push_image(pusher, archive.path, f"{proxy.url}/{repository}", compression=KEEP)
        sent = [r.headers.get("content-range") for r in proxy.requests if "blobs/up" in r.path]
    parts = [f"0-{4 * MIB - 1}", f"{4 * MIB}-{8 * MIB - 1}"]
    assert [part for part in sent if part][:2] == parts
    pulled = skopeo_copy_to_dir(f"{registry_host}/{repository}:1", tmp_path / "back")
    assert list(map(sha256_digest, pulled.contents)) == [DIGEST]


# Amazon ECR --------------------------------------------------------------------------------------


async def test_ecr_answers_201_to_patch_and_no_digest() -> None:
    script = [
        start(accepted("/v2/app/blobs/uploads/uuid?x=1")),
        stream("/v2/app/blobs/uploads/uuid?x=1", accepted("/v2/app/blobs/uploads/uuid?x=2", 201)),
        end("/v2/app/blobs/uploads/uuid?x=2", Reply(201)),
    ]
    async with scripted(script, like=ECR) as registry:
        await Push(registry).blob()


async def test_ecr_gets_parts_of_five_mib_whatever_its_range_says() -> None:
    frozen = {"Range": f"0-{5 * MIB - 1}"}
    script = [
        start(accepted(session(1))),
        stream(session(1), Reply(413)),
        forget(session(1)),
        start(accepted(session(10))),
        *chunks(5 * MIB, lambda number: accepted(session(number), 201, **frozen)),
    ]
    async with scripted(script, like=ECR) as registry:
        await Push(registry).blob()


@pytest.mark.parametrize("like", [ECR, GAR, ACR])
async def test_who_cannot_tell_what_it_holds_is_not_asked(like: str) -> None:
    script = [
        forget(session(1)),
        start(accepted(session(2))),
        stream(session(2), accepted(session(3))),
        end(session(3), Reply(201)),
    ]
    async with scripted(script, like=like) as registry:
        push = Push(registry)
        await push.interrupted(session(1))
        await push.blob()


async def test_ecr_gets_another_session_for_bytes_that_are_sent_again() -> None:
    words = "First byte of the layer part is 0 instead of 24"
    script = [
        start(accepted(session(1))),
        small(session(1), problem(416, "BLOB_UPLOAD_INVALID", words)),
        head_blob(Reply(404), SMALL_DIGEST),
        forget(session(1)),
        start(accepted(session(2))),
        small(session(2), Reply(201)),
    ]
    async with scripted(script, like=ECR) as registry:
        await Push(registry).small()


async def test_ecr_creates_no_repositories() -> None:
    words = "The repository with name 'app' does not exist in the registry with id '123456789012'"
    script = [start(problem(404, "NAME_UNKNOWN", words))]
    async with scripted(script, like=ECR) as registry:
        with pytest.raises(NameUnknownError, match=f"{words}; create app at the registry first"):
            await Push(registry).blob()


async def test_a_web_server_may_be_no_registry_at_all() -> None:
    async with scripted([start(Reply(404, body=b"<h1>Not here</h1>"))]) as registry:
        with pytest.raises(NameUnknownError) as caught:
            await Push(registry).blob()
    advice = f"see whether {registry.host} is a registry; if so, create app at the registry first"
    assert str(caught.value).endswith(advice)


async def test_ecr_mounts_only_what_a_manifest_names() -> None:
    mount = f"{START}?mount={DIGEST}&from=base"
    script = [
        head_blob(Reply(404)),
        Exchange("POST", mount, accepted(session(1))),
        forget(session(1)),
    ]
    async with scripted(script, like=ECR) as registry:
        push = Push(registry)
        await push.ledger.remember_repository(registry.host, "base", DIGEST)
        assert not await push.blobs.find(push.source, BlobInfo(DIGEST, len(BLOB)))


async def test_a_login_that_may_not_mount_can_still_push() -> None:
    mount = f"{START}?mount={DIGEST}&from=base"
    asked = f"{OTHER}:app"
    async with ScriptedServer() as server, Transport(timeout=60) as transport:
        realm = f'Bearer realm="{server.url}/token",service="{asked}"'
        server.expect(
            head_blob(Reply(404)),
            Exchange("POST", mount, Reply(401, {"WWW-Authenticate": realm})),
            Exchange(
                "GET",
                f"/token?scope=repository:app:pull,push&scope=repository:base:pull&service={asked}",
                Reply(403),
            ),
        )
        registry = Registry(transport, server.url)
        push = Push(registry)
        await push.ledger.remember_repository(registry.host, "base", DIGEST)
        assert not await push.blobs.find(push.source, BlobInfo(DIGEST, len(BLOB)))


IMMUTABLE = [
    pytest.param(
        problem(
            400,
            "TAG_INVALID",
            "The image tag '1' already exists in the 'app' repository and cannot be overwritten "
            "because the repository is immutable.",
        ),
        id="Amazon ECR",
    ),
    pytest.param(
        problem(
            400,
            "MANIFEST_INVALID",
            "manifest invalid: cannot update tag 1. The repository has enabled tag immutability",
        ),
        id="Google Artifact Registry",
    ),
    pytest.param(
        problem(
            412,
            "PRECONDITION",
            "Failed to process request due to 'app:1' configured as immutable.",
        ),
        id="Harbor",
    ),
]


@pytest.mark.parametrize("refused", IMMUTABLE)
async def test_a_tag_that_cannot_be_moved_is_not_tried_again(refused: Reply) -> None:
    script = [
        manifest_put(refused),
        Exchange(
            "HEAD", "/v2/app/manifests/1", Reply(200, {"Docker-Content-Digest": OTHER_DIGEST})
        ),
    ]
    async with scripted(script) as registry:
        with pytest.raises(TagImmutableError, match="immutab") as caught:
            await put_manifest(registry)
        assert caught.value.kind == "tag_immutable"
        assert caught.value.registry == registry.host


@pytest.mark.parametrize("refused", IMMUTABLE)
async def test_a_tag_that_need_not_be_moved_is_fine(refused: Reply) -> None:
    found = Reply(200, {"Content-Type": OCI}, MANIFEST)
    script = [
        manifest_put(refused),
        # ECR's answer has no Docker-Content-Digest.
        Exchange("HEAD", "/v2/app/manifests/1", found),
        Exchange("GET", "/v2/app/manifests/1", found),
    ]
    async with scripted(script) as registry:
        await put_manifest(registry)


# Google ------------------------------------------------------------------------------------------


async def test_google_s_locations_are_long_and_absolute() -> None:
    where = "/artifacts-uploads/namespaces/p/repositories/r/uploads/AI27aGCE0z-08wSk_TF%3D?a=%2F"
    async with ScriptedServer() as server, Transport(timeout=60) as transport:
        server.expect(
            start(accepted(f"{server.url}{where}")),
            stream(where, accepted(f"{server.url}{where}2")),
            end(f"{where}2", Reply(201)),
        )
        await Push(Registry(transport, server.url, quirks=quirks_of(GAR))).blob()


async def test_google_takes_no_chunks() -> None:
    script = [
        start(accepted(session(1))),
        stream(session(1), Reply(413)),
        forget(session(1)),
    ]
    async with scripted(script, like=GAR) as registry:
        with pytest.raises(ResponseError, match="413 Request Entity Too Large") as caught:
            await Push(registry).blob()
        assert not caught.value.retryable


# Azure -------------------------------------------------------------------------------------------


async def test_azure_s_newest_location_comes_back_byte_for_byte() -> None:
    first = "/v2/app/blobs/uploads/2b28?_nouploadcache=false&_state=8joU%2BEn-xMjYwNDRaIn0%3D"
    second = "/v2/app/blobs/uploads/f6d3?_nouploadcache=false&_state=9G2t%2BKQOw-NmMjg1WiJ9%3D"
    script = [
        start(accepted(first)),
        stream(first, accepted(second)),
        end(second, Reply(201)),
    ]
    async with scripted(script, like=ACR) as registry:
        await Push(registry).blob()


async def test_azure_forgets_an_upload_that_broke_off() -> None:
    script = [
        start(accepted(session(1))),
        stream(session(1), problem(404, "BLOB_UPLOAD_INVALID", "blob upload invalid")),
        forget(session(1)),
        start(accepted(session(2))),
        stream(session(2), accepted(session(3))),
        end(session(3), Reply(201)),
    ]
    async with scripted(script, like=ACR) as registry:
        await Push(registry).blob()


# GitHub ------------------------------------------------------------------------------------------


async def test_github_gets_chunks_of_four_mib_once_it_refuses_more() -> None:
    words = "the request body is too large and exceeds the maximum permissible limit of 4.00MiB"
    script = [
        start(accepted(session(1))),
        stream(session(1), problem(416, "REQUESTED_RANGE_NOT_SATISFIABLE", words)),
        forget(session(1)),
        start(accepted(session(10))),
        *chunks(4 * MIB, lambda number: accepted(session(number))),
    ]
    async with scripted(script, like=GHCR) as registry:
        await Push(registry).blob()


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_blob_in_storage_elsewhere_is_there(status: int) -> None:
    elsewhere = {"Location": "https://storage.example.com/blobs?X-Amz-Signature=for-get"}
    async with scripted([head_blob(Reply(status, elsewhere))], like=GHCR) as registry:
        assert await registry.blobs.has("app", DIGEST)


# Nexus -------------------------------------------------------------------------------------------

CANNOT_BE_UPDATED = problem(
    400,
    "BLOB_UPLOAD_INVALID",
    "blob upload invalid",
    f"hosted/v2/-/blobs/{DIGEST} cannot be updated",
)


async def test_nexus_refuses_the_slower_of_two_uploads_of_a_blob() -> None:
    script = [
        start(accepted(session(1))),
        stream(session(1), accepted(session(2))),
        end(session(2), CANNOT_BE_UPDATED),
        head_blob(Reply(200)),
        forget(session(2)),
    ]
    async with scripted(script) as registry:
        await Push(registry).blob()


async def test_nexus_refuses_the_slower_of_two_small_uploads_of_a_blob() -> None:
    script = [
        start(accepted(session(1))),
        small(session(1), Reply(400)),
        head_blob(Reply(200), SMALL_DIGEST),
        forget(session(1)),
    ]
    async with scripted(script) as registry:
        await Push(registry).small()


async def test_a_refused_end_says_why_in_the_registry_s_words() -> None:
    script = [
        start(accepted(session(1))),
        small(session(1), problem(400, "SIZE_INVALID", "invalid", "the repository is full")),
        head_blob(Reply(404), SMALL_DIGEST),
        forget(session(1)),
    ]
    async with scripted(script) as registry:
        with pytest.raises(ResponseError, match="SIZE_INVALID invalid: the repository is full"):
            await Push(registry).small()


# Artifactory -------------------------------------------------------------------------------------


async def test_artifactory_loses_an_upload_and_gets_another() -> None:
    script = [
        start(accepted(session(1))),
        stream(session(1), Reply(404)),
        forget(session(1)),
        start(accepted(session(2))),
        stream(session(2), accepted(session(3))),
        end(session(3), Reply(201)),
    ]
    async with scripted(script) as registry:
        await Push(registry).blob()


# Quay --------------------------------------------------------------------------------------------


async def test_quay_says_which_manifests_it_takes() -> None:
    detail = {"message": "manifest schema version not supported"}
    script = [manifest_put(problem(415, "MANIFEST_INVALID", "manifest invalid", detail))]
    async with scripted(script) as registry:
        with pytest.raises(UnsupportedError) as caught:
            await put_manifest(registry)
    said = str(caught.value)
    assert OCI in said
    assert "manifest invalid: manifest schema version not supported" in said


# Docker Hub --------------------------------------------------------------------------------------


async def test_docker_hub_says_when_to_come_again() -> None:
    refused = replace(problem(429, "TOOMANYREQUESTS", "slow down"), headers={"Retry-After": "0"})
    script = [
        start(refused),
        start(accepted(session(1))),
        small(session(1), Reply(201)),
    ]
    async with scripted(script) as registry:
        await Push(registry).small()


async def test_a_registry_that_asks_for_too_much_patience_is_left() -> None:
    script = [start(Reply(429, {"Retry-After": "3600"}))]
    async with scripted(script) as registry:
        with pytest.raises(RateLimitedError) as caught:
            await Push(registry).small()
        assert caught.value.retry_after == 3600


CATALOG = "/v2/_catalog?n=1000"


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(problem(401, "UNAUTHORIZED", "authentication required"), id="Docker Hub"),
        pytest.param(Reply(404, {}, b"404 page not found"), id="GitHub"),
        pytest.param(problem(403, "DENIED", "requested access is denied"), id="denied"),
        pytest.param(problem(405, "UNSUPPORTED", "unsupported"), id="switched off"),
    ],
)
async def test_a_catalog_that_nobody_gets_is_an_error_that_says_so(refused: Reply) -> None:
    async with scripted([Exchange("GET", CATALOG, refused)]) as registry:
        with pytest.raises(UnsupportedError, match="does not list its repositories") as caught:
            await registry.catalog.repositories()
        assert caught.value.registry == registry.host


# Sessions that nobody will continue ------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 403, 413, 503])
async def test_a_small_blob_that_is_refused_leaves_no_session(status: int) -> None:
    tries = 3 if status == 503 else 1
    looks = [] if status == 503 else [head_blob(Reply(404), SMALL_DIGEST)]
    script = [
        exchange
        for number in range(tries)
        for exchange in (
            start(accepted(session(number))),
            small(session(number), Reply(status)),
            forget(session(number)),
        )
    ]
    async with scripted([*script, *looks]) as registry:
        push = Push(registry)
        with pytest.raises(ResponseError):
            await push.small()
        await push.uploads.abandon()


async def test_a_session_whose_end_was_lost_is_closed_before_the_next(
    tmp_path: Path, pusher: ImagePusher
) -> None:
    archive = write_archive(tmp_path / "image.tar", docker_legacy, make_image(SMALL))
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        # aiohttp itself repeats the first: it takes the connection for a stale one.
        proxy.cut(is_blob_put, times=2)
        await push_image(pusher, archive.path, f"{proxy.url}/app")
        assert registry.repositories["app"].uploads == {}


# Errors ------------------------------------------------------------------------------------------


def failing_script(failing: str, refused: Reply) -> list[Exchange]:
    """A push of the large blob up to the request of that method, which is refused."""
    script = {
        "POST": start(accepted(session(1))),
        "PATCH": stream(session(1), accepted(session(2))),
        "PUT": end(session(2), Reply(201)),
    }
    methods = list(script)
    played = methods[: methods.index(failing) + 1]
    return [
        replace(script[method], reply=refused) if method == failing else script[method]
        for method in played
    ]


CLEANED: Mapping[str, Collection[Exchange]] = {
    "POST": (),
    "PATCH": (forget(session(1)),),
    "PUT": (head_blob(Reply(404)), forget(session(2))),
}


@pytest.mark.parametrize(
    "refused",
    [
        pytest.param(Reply(403), id="without a body"),
        pytest.param(
            Reply(403, {"Content-Type": "text/html"}, b"<html>\n<h1>No</h1>\n"), id="html"
        ),
        pytest.param(
            problem(
                403, "DENIED", f"no\nsuch luck: PUT https://s.example.com/x?{SECRET}&y=1 said no"
            ),
            id="that cites an address",
        ),
    ],
)
@pytest.mark.parametrize("failing", ["POST", "PATCH", "PUT"])
async def test_an_error_is_one_line_that_keeps_the_location_s_query_to_itself(
    failing: str, refused: Reply
) -> None:
    script = [*failing_script(failing, refused), *CLEANED[failing]]
    async with scripted(script) as registry:
        with pytest.raises(DeniedError) as caught:
            await Push(registry).blob()
        error: BaseException | None = caught.value
        assert registry.host in str(error)
        assert "upload" in str(error)
        assert "403" in str(error)
        while error:
            assert "\n" not in str(error)
            assert "_state" not in str(error)
            error = error.__cause__
