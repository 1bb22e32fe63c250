"""What a registry answers, sent as raw bytes over a real connection."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from types import SimpleNamespace
from typing import Any

from hypothesis import strategies as st

from registry_api_v2_client import RegistryClient, get_image_info, list_tags
from registry_api_v2_client.api import catalog
from registry_api_v2_client.api.registry import Registry
from registry_api_v2_client.api.uploads import UploadSession
from registry_api_v2_client.descriptors import is_sha256
from registry_api_v2_client.exceptions import RegistryError
from registry_api_v2_client.media_types import OCI, Compression
from registry_api_v2_client.push.manifest_push import Target as PushTarget
from registry_api_v2_client.push.manifests import BuiltManifest
from registry_api_v2_client.push.tagged_images import TaggedImages
from registry_api_v2_client.retry import Retrier, RetryPolicy
from tests.fuzz.strategies import changed_json, spoiled, texts
from tests.fuzz.target import Target, assert_proper

DIGEST = "sha256:" + "a" * 64
GZIP_LAYER = OCI.layers[Compression.GZIP]
SECONDS = 1.0
MOST_REQUESTS = 60

catalog._MAX_PAGES = 20

# Nothing listens at port 1; no address may lead out of this machine.
addresses = st.sampled_from(
    [
        "/v2/app/blobs/uploads/1?_state=a%2Fb",
        "/v2/app/tags/list?n=1&last=b",
        "",
        "?",
        "//",
        "http://[::1",
        "http://127.0.0.1:1/x",
        "http://127.0.0.1:99999/",
        "https://127.0.0.1:1/",
        "ftp://127.0.0.1/",
        "http:///x",
        "http://user:pass@127.0.0.1:1/",
        "/\xff",
        "/%",
        "/a b",
        "/" + "a" * 5000,
    ]
)
numbers = st.sampled_from(["0", "-1", "1e9", "9" * 400, "9" * 5000, "0x10", "+1", "\u00b2", "NaN"])
dates = st.sampled_from(
    [
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Mon, 01 Jan 0001 00:00:00 -0000",
        "Fri, 31 Dec 9999 23:59:59 +2400",
        "Fri, 31 Dec 99999 23:59:59 GMT",
        "Mon, 99 Foo 2020 99:99:99 GMT",
    ]
)
values = {
    "Location": addresses,
    "Link": addresses.map(lambda address: f'<{address}>; rel="next"') | texts,
    "Range": numbers.map(lambda number: f"0-{number}") | texts,
    "Retry-After": numbers | dates | texts,
    "Docker-Content-Digest": st.sampled_from([DIGEST, "sha256:" + "0" * 64]) | texts,
    "Content-Type": st.sampled_from(["application/json", ";", "text/html; charset=\xff"]),
    "WWW-Authenticate": st.sampled_from(
        [
            'Bearer realm="http://{host}/token",service="a"',
            'Bearer realm="//"',
            'Bearer realm="http://[::1"',
            "Basic",
            "",
        ]
    )
    | texts,
    "OCI-Chunk-Min-Length": numbers,
    "Content-Encoding": st.sampled_from(["gzip", "br", "x"]),
}
headers = st.lists(
    st.sampled_from(sorted(values)).flatmap(lambda name: st.tuples(st.just(name), values[name])),
    max_size=4,
)
bodies = st.one_of(
    changed_json({"tags": ["1", "2"], "repositories": ["a"], "name": "app"}),
    changed_json({"errors": [{"code": "DENIED", "message": "no", "detail": {}}]}),
    changed_json({"token": "x", "access_token": "y", "expires_in": 60}),
    changed_json(
        {
            "schemaVersion": 2,
            "mediaType": "application/vnd.oci.image.manifest.v1+json",
            "config": {"digest": DIGEST, "size": 2, "mediaType": "x"},
            "layers": [{"digest": DIGEST, "size": 2, "mediaType": "x"}],
        }
    ),
    changed_json(
        {
            "config": {"digest": DIGEST, "size": 2, "mediaType": OCI.config},
            "layers": [{"digest": DIGEST, "size": 2, "mediaType": GZIP_LAYER}],
        }
    ),
    st.just(b"<html>\x1b[2J</html>"),
    st.binary(max_size=30),
)
statuses = st.sampled_from([200, 201, 202, 204, 206, 301, 307, 400, 401, 403, 404, 405, 416, 429])


@st.composite
def replies(draw: st.DrawFn) -> bytes:
    status = draw(statuses | st.sampled_from([500, 503, 599, 200, 200, 202]))
    body = draw(bodies)
    lines = [f"HTTP/1.1 {status} Whatever"]
    for name, value in draw(headers):
        one_line = value.replace("\r", " ").replace("\n", " ")
        lines.append(f"{name}: {one_line}")
    if draw(st.integers(0, 5)):
        lines.append(f"Content-Length: {len(body)}")
    if not any(line.startswith("Content-Type") for line in lines):
        lines.append(f"Content-Type: {OCI.manifest}")
    head = "\r\n".join([*lines, "Connection: close", "", ""]).encode(errors="surrogatepass")
    return draw(spoiled(head + body)) if draw(st.integers(0, 9)) == 0 else head + body


Operation = Callable[[Registry], Awaitable[object]]


async def _content() -> AsyncIterator[memoryview]:
    yield memoryview(b"x" * 100)


async def _take(piece: bytes) -> None:
    assert piece


async def _session(registry: Registry) -> UploadSession:
    return UploadSession("app", registry.url / "v2/app/blobs/uploads/1")


async def _upload(registry: Registry) -> None:
    session = await registry.uploads.start("app")
    await registry.uploads.stream(session, _content())
    await registry.uploads.finish(session, DIGEST, b"x")


async def _resume(registry: Registry) -> None:
    offset = await registry.uploads.offset(await _session(registry))
    assert offset >= 0


async def _info(registry: Registry) -> None:
    await get_image_info(str(registry.url), "app", "1", timeout=SECONDS)


async def _tagged(registry: Registry) -> None:
    async def ignore(_: RegistryError) -> None:
        return None

    config = {"rootfs": {"diff_ids": [DIGEST]}}
    image: Any = SimpleNamespace(
        config_type=OCI.config, config_digest=DIGEST, config_document=config
    )
    layer: Any = SimpleNamespace(digest=DIGEST, media_type=GZIP_LAYER, size=2)
    images = TaggedImages(image, Retrier(RetryPolicy(attempts=1), ignore))
    await images.look(PushTarget(registry, "app", ("1",)))
    assert all(is_sha256(blob.digest) and blob.size > 0 for _, blob in images.blobs([layer]))
    images.manifest(BuiltManifest(b"{}", OCI.manifest))


async def _tags(registry: Registry) -> None:
    names = await list_tags(str(registry.url), "app", timeout=SECONDS)
    assert all(isinstance(name, str) for name in names)


OPERATIONS: dict[str, Operation] = {
    "ping": lambda registry: registry.ping(),
    "blob": lambda registry: registry.blobs.has("app", DIGEST, 2),
    "read": lambda registry: registry.blobs.read("app", DIGEST, _take),
    "json": lambda registry: registry.blobs.json("app", DIGEST),
    "mount": lambda registry: registry.uploads.mount("app", DIGEST, "other"),
    "upload": _upload,
    "resume": _resume,
    "digest": lambda registry: registry.manifests.digest("app", "1"),
    "stored": lambda registry: registry.manifests.stored_digest("app", "1"),
    "put": lambda registry: registry.manifests.put("app", "1", b"{}", "x", DIGEST),
    "delete": lambda registry: registry.manifests.delete("app", DIGEST),
    "repositories": lambda registry: registry.catalog.repositories(),
    "tagged": _tagged,
    "tags": _tags,
    "info": _info,
}

inputs = st.tuples(st.sampled_from(sorted(OPERATIONS)), st.lists(replies(), min_size=1, max_size=4))
runner = asyncio.Runner()


def check(example: tuple[str, list[bytes]]) -> None:
    runner.run(_play(*example))


async def _play(operation: str, script: list[bytes]) -> None:
    asked = 0

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal asked
        raw = script[min(asked, len(script) - 1)]
        asked += 1
        try:
            await reader.readuntil(b"\r\n\r\n")
            writer.write(raw.replace(b"{host}", host.encode()))
            if writer.can_write_eof():
                writer.write_eof()
            await reader.read()
        except (OSError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        host = f"127.0.0.1:{port}"
        async with RegistryClient(timeout=SECONDS) as client:
            try:
                await OPERATIONS[operation](client.registry(f"http://{host}"))
            except RegistryError as error:
                assert_proper(error)
    assert asked < MOST_REQUESTS


TARGET = Target("registry answers", inputs, check)
