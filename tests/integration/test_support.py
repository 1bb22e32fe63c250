"""The test doubles themselves: tests must be able to trust them."""

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import aiohttp
import pytest
from yarl import URL

from tests.support.clocks import clock_off_by
from tests.support.images import (
    ARCHIVES,
    OCI_LAYOUT,
    SEVERAL_IMAGES,
    ArchiveBuilder,
)
from tests.support.logins import Login
from tests.support.proxy import FaultProxy, is_blob_put, is_patch
from tests.support.scripted_server import Exchange, Reply, ScriptedServer
from tests.support.servers import RedisServer
from tests.support.skopeo import skopeo, skopeo_copy_to_dir, skopeo_push_archive
from tests.support.spec_registry import SpecRegistry, digest_of

pytestmark = pytest.mark.integration

LOGIN = Login("alice", "wonderland")

# skopeo refuses configs without diff_ids, and version 1.9 misreads a gzipped docker-archive.
BEYOND_SKOPEO = {"no-diff-ids", "no-claims-at-all", "guide", "file-gzipped"}


async def pieces(content: bytes) -> AsyncIterator[bytes]:
    """Makes aiohttp send a chunked body."""
    for start in range(0, len(content), 1000):
        yield content[start : start + 1000]


async def start_upload(session: aiohttp.ClientSession, repository: str) -> str:
    async with session.post(f"/v2/{repository}/blobs/uploads/") as response:
        assert response.status == 202
        return response.headers["Location"]


async def send(
    session: aiohttp.ClientSession, location: str, content: bytes, **headers: str
) -> aiohttp.ClientResponse:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    async with session.patch(location, data=pieces(content), headers=names) as response:
        return response


# Archives


@pytest.mark.parametrize("kind", sorted(ARCHIVES.keys() - BEYOND_SKOPEO))
def test_skopeo_agrees_that_it_is_an_image(
    kind: str, tmp_path: Path, registry_host: str, repository: str
) -> None:
    assert_skopeo_pushes(
        ARCHIVES[kind], "docker-archive", tmp_path, f"{registry_host}/{repository}"
    )


def test_skopeo_agrees_that_it_is_an_oci_layout(
    tmp_path: Path, registry_host: str, repository: str
) -> None:
    assert_skopeo_pushes(OCI_LAYOUT, "oci-archive", tmp_path, f"{registry_host}/{repository}")


def assert_skopeo_pushes(
    build: ArchiveBuilder, transport: str, tmp_path: Path, target: str
) -> None:
    archive = build(tmp_path)
    skopeo_push_archive(archive.path, f"{target}:1", transport=transport)
    pulled = skopeo_copy_to_dir(f"{target}:1", tmp_path / "back")
    assert pulled.config == archive.image.config
    assert pulled.contents == list(archive.image.layers)


def test_skopeo_finds_every_image_of_several(
    tmp_path: Path, registry_host: str, repository: str
) -> None:
    archive = SEVERAL_IMAGES(tmp_path)
    for number, image in enumerate(archive.images):
        target = f"{registry_host}/{repository}:{number}"
        source = f"docker-archive:{archive.path}:{image.tags[0]}"
        skopeo("copy", "--dest-tls-verify=false", source, f"docker://{target}")
        pulled = skopeo_copy_to_dir(target, tmp_path / f"back-{number}")
        assert pulled.config == image.config


# Servers


def test_what_redis_acknowledged_survives_its_death(
    start_redis: Callable[[], RedisServer],
) -> None:
    server = start_redis()
    with server.client() as client:
        client.set("key", "value")
    server.restart()
    with server.client() as client:
        assert client.get("key") == "value"


# Proxy


async def test_the_proxy_counts_and_cuts_to_the_byte(registry_url: str, repository: str) -> None:
    async with FaultProxy(registry_url) as proxy, aiohttp.ClientSession(proxy.url) as session:
        location = await start_upload(session, repository)
        location = (await send(session, location, b"x" * 200_000)).headers["Location"]
        assert proxy.bytes_sent() == 200_000
        proxy.cut(is_patch, after=12_345)
        with pytest.raises(aiohttp.ClientError):
            await send(session, location, b"x" * 50_000)
        assert proxy.bytes_sent() == 212_345


async def test_the_proxy_answers_in_the_registry_s_place(
    registry_url: str, repository: str
) -> None:
    async with FaultProxy(registry_url) as proxy, aiohttp.ClientSession(proxy.url) as session:
        location = await start_upload(session, repository)
        proxy.answer(is_patch, status=429, headers={"Retry-After": "3"}, times=2)
        for _ in range(2):
            response = await send(session, location, b"x" * 5_000_000)
            assert (response.status, response.headers["Retry-After"]) == (429, "3")
        assert (await send(session, location, b"content")).status == 202
        assert proxy.bytes_sent() == len(b"content")


async def test_the_proxy_holds_a_request_in_its_middle(registry_url: str, repository: str) -> None:
    async with FaultProxy(registry_url) as proxy, aiohttp.ClientSession(proxy.url) as session:
        location = await start_upload(session, repository)
        hold = proxy.hold(is_patch, after=10_000)
        upload = asyncio.create_task(send(session, location, b"x" * 5_000_000))
        await hold.reached.wait()
        assert proxy.bytes_sent() == 10_000
        assert not upload.done()
        hold.release()
        assert (await upload).status == 202
        assert proxy.bytes_sent() == 5_000_000


async def test_the_proxy_detains_a_request_whose_client_is_gone(
    registry_url: str, repository: str
) -> None:
    content = b"x" * 100_000
    digest = digest_of(content)
    blob = f"/v2/{repository}/blobs/{digest}"
    async with FaultProxy(registry_url) as proxy, aiohttp.ClientSession(proxy.url) as session:
        location = URL(await start_upload(session, repository)).update_query(digest=digest)
        late = proxy.detain(is_blob_put)
        put = asyncio.create_task(session.put(location, data=content))
        await late.reached.wait()
        put.cancel()
        await asyncio.wait([put])
        assert (await session.head(blob)).status == 404
        late.release()
        await late.answered.wait()
        assert (await session.head(blob)).status == 200


async def test_the_proxy_cuts_off_whose_request_it_detains(
    registry_url: str, repository: str
) -> None:
    async with FaultProxy(registry_url) as proxy, aiohttp.ClientSession(proxy.url) as session:
        location = await start_upload(session, repository)
        late = proxy.detain(is_patch, cut=True)
        with pytest.raises(aiohttp.ClientError):
            await send(session, location, b"content")
        assert late.reached.is_set()
        assert not late.answered.is_set()


# Spec registry


@pytest.mark.parametrize(("basic", "bearer"), [(None, None), (LOGIN, None), (None, LOGIN)])
async def test_skopeo_gets_along_with_the_spec_registry(
    basic: Login | None, bearer: Login | None, tmp_path: Path
) -> None:
    archive = ARCHIVES["docker-oci"](tmp_path)
    async with SpecRegistry(basic=basic, bearer=bearer) as registry:
        target = f"docker://{registry.host}/team/app:1"
        source = f"docker-archive:{archive.path}"
        creds = f"{LOGIN.username}:{LOGIN.password}"
        await asyncio.to_thread(
            skopeo, "copy", "--dest-tls-verify=false", "--dest-creds", creds, source, target
        )
        reference, back = f"{registry.host}/team/app:1", tmp_path / "back"
        pulled = await asyncio.to_thread(skopeo_copy_to_dir, reference, back, creds=creds)
    assert pulled.contents == list(archive.image.layers)


async def test_an_upload_goes_on_where_it_broke_off() -> None:
    content = bytes(range(256)) * 2000
    async with (
        SpecRegistry() as registry,
        FaultProxy(registry.url) as proxy,
        aiohttp.ClientSession(proxy.url) as session,
    ):
        location = await start_upload(session, "app")
        proxy.cut(is_patch, after=200_001)
        with pytest.raises(aiohttp.ClientError):
            await send(session, location, content)
        # The registry sees the cut on its own connection, a moment after the client.
        held = ""
        while held != "0-200000":
            async with session.get(location) as response:
                assert response.status == 204
                held = response.headers["Range"]
        wrong = await send(session, location, content[100:], Content_Range="100-511999")
        assert (wrong.status, wrong.headers["Range"]) == (416, "0-200000")
        rest = await send(session, location, content[200_001:], Content_Range="200001-511999")
        assert rest.status == 202
        digest = digest_of(content)
        async with session.put(f"{rest.headers['Location']}&digest={digest}") as response:
            assert response.status == 201
        assert registry.repositories["app"].blobs == {digest: content}


async def test_a_connection_outlives_an_answer_that_precedes_the_body() -> None:
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        async with aiohttp.ClientSession(proxy.url) as session:
            location = URL(await start_upload(session, "app")).path
        address = URL(proxy.url)
        reader, writer = await asyncio.open_connection(address.host, address.port)
        head = f" {location} HTTP/1.1\r\nHost: registry\r\n"
        writer.write(f"PATCH{head}Content-Range: 100-104\r\nContent-Length: 5\r\n\r\n".encode())
        assert b" 416 " in await reader.readuntil(b"\r\n\r\n")
        writer.write(f"wrongGET{head}\r\n".encode())
        assert b" 204 " in await reader.readuntil(b"\r\n\r\n")
        writer.close()
        await writer.wait_closed()


async def test_a_blob_with_another_digest_is_refused() -> None:
    async with SpecRegistry() as registry, aiohttp.ClientSession(registry.url) as session:
        location = await start_upload(session, "app")
        async with session.put(f"{location}&digest={digest_of(b'a')}", data=b"b") as response:
            assert response.status == 400
            assert (await response.json())["errors"][0]["code"] == "DIGEST_INVALID"


async def test_a_blob_is_mounted_from_another_repository() -> None:
    digest = digest_of(b"blob")
    mount = f"/v2/app/blobs/uploads/?mount={digest}&from=base"
    for mounts, status in ((True, 201), (False, 202)):
        async with SpecRegistry(mounts=mounts) as registry:
            registry.repository("base").blobs[digest] = b"blob"
            async with (
                aiohttp.ClientSession(registry.url) as session,
                session.post(mount) as response,
            ):
                assert response.status == status
            assert (digest in registry.repositories["app"].blobs) is mounts


# Scripted server


async def test_a_script_played_to_its_end_is_fine() -> None:
    exchange = Exchange("GET", "/v2/?a=1", Reply(200, {"X": "y"}, b"body"))
    async with ScriptedServer(exchange) as server:
        assert await get(server, "/v2/?a=1") == (200, b"body")


async def test_a_request_outside_the_script_fails_the_test() -> None:
    with pytest.raises(pytest.fail.Exception, match="not in the script: GET /v2/other"):
        async with ScriptedServer() as server:
            await get(server, "/v2/other")


async def test_an_exchange_that_never_happens_fails_the_test() -> None:
    with pytest.raises(pytest.fail.Exception, match="never asked: GET /v2/"):
        async with ScriptedServer(Exchange("GET", "/v2/", Reply(200))):
            pass


async def test_a_wrong_body_fails_the_test() -> None:
    def check(body: bytes) -> None:
        assert body == b"expected"

    with pytest.raises(pytest.fail.Exception, match="GET /v2/: "):
        async with ScriptedServer(Exchange("GET", "/v2/", Reply(200), check=check)) as server:
            await get(server, "/v2/")


async def get(server: ScriptedServer, target: str) -> tuple[int, bytes]:
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"{server.url}{target}") as response,
    ):
        return response.status, await response.read()


# Clocks


@pytest.mark.parametrize("off", [60, -60])
def test_a_clock_is_off(off: int) -> None:
    ask = [sys.executable, "-c", "import time; print(time.time(), time.monotonic())"]
    before = time.time(), time.monotonic()
    answer = subprocess.run(
        ask, env=os.environ | clock_off_by(off), capture_output=True, text=True, check=True
    ).stdout.split()
    after = time.time(), time.monotonic()
    assert before[0] + off - 1 < float(answer[0]) < after[0] + off + 1
    assert before[1] < float(answer[1]) < after[1], "durations are right"
