"""Registries whose answers are wrong: each ends in an error that says so, none in a hang."""

import asyncio
import gzip
import json
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from aiohttp import web
from yarl import URL

from registry_api_v2_client import (
    BlobUnknownError,
    DigestMismatchError,
    ManifestUnknownError,
    ProtocolError,
    delete_image_by_digest,
    get_manifest,
    list_tags,
    push_docker_tar,
)
from registry_api_v2_client.api import catalog
from registry_api_v2_client.api.registry import Registry
from registry_api_v2_client.api.transport import Transport
from registry_api_v2_client.api.uploads import UploadSession
from registry_api_v2_client.archive.image_archive import ImageArchive
from registry_api_v2_client.push.compression import CompressionPolicy
from registry_api_v2_client.push.engine import ImagePusher
from registry_api_v2_client.push.ledger import MemoryLedger
from registry_api_v2_client.push.manifest_push import Target
from tests.support.big_images import write_big_archive
from tests.support.images import ARCHIVES, make_image, sha256_digest
from tests.support.layouts import Layout, cosign_tag
from tests.support.local_server import LocalServer
from tests.support.proxy import FaultProxy, Request, is_blob_head, is_commit, is_patch
from tests.support.pushes import FEW_AND_FAST, push
from tests.support.servers import Registry as RealRegistry
from tests.support.servers import collect_garbage, run_registry
from tests.support.skopeo import skopeo_inspect
from tests.support.spec_registry import Handler, SpecRegistry

pytestmark = pytest.mark.integration

OTHER = f"sha256:{'0' * 64}"
Answer = Callable[[web.Request, web.StreamResponse], Awaitable[web.StreamResponse]]


class LyingRegistry(SpecRegistry):
    """Does everything right, but passes its answers through ``lie``."""

    def __init__(self, lie: Answer) -> None:
        super().__init__()
        self._lie = lie

    @web.middleware
    async def _authorize(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        return await self._lie(request, await handler(request))


class Answers(LocalServer):
    """Gives every request the same answer, and counts them."""

    def __init__(self, answer: Callable[[web.BaseRequest, int], web.Response]) -> None:
        self.count = 0

        async def handle(request: web.BaseRequest) -> web.Response:
            self.count += 1
            return answer(request, self.count)

        super().__init__(web.ServerRunner(web.Server(handle), shutdown_timeout=0))


def pusher() -> ImagePusher:
    return ImagePusher(retry=FEW_AND_FAST)


# Blobs


async def test_a_blob_of_another_size_is_not_taken_for_ours(tmp_path: Path) -> None:
    archive = ARCHIVES["docker-oci"](tmp_path)
    config = sha256_digest(archive.image.config)
    async with SpecRegistry() as registry:
        registry.repository("app").blobs[config] = archive.image.config[:-1]
        size = len(archive.image.config)
        with pytest.raises(ProtocolError, match=f"holds {size - 1} bytes as blob {config}"):
            await push_docker_tar(archive.path, registry.url, "app", "1")
        assert "1" not in registry.repositories["app"].tags


async def test_a_blob_under_another_digest_is_not_taken_for_ours(tmp_path: Path) -> None:
    async def lie(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        if request.method == "HEAD" and "/blobs/" in request.path:
            return web.Response(headers={"Docker-Content-Digest": OTHER})
        return answer

    async with LyingRegistry(lie) as registry:
        with pytest.raises(DigestMismatchError, match=f"{OTHER} instead of"):
            await push(pusher(), ARCHIVES["containerd"](tmp_path).path, f"{registry.url}/app")


async def test_an_upload_beyond_its_bytes_starts_over(tmp_path: Path) -> None:
    asked: list[str] = []

    async def lie(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        if request.method == "PATCH" and not asked:
            await answer.prepare(request)
            assert request.transport
            request.transport.abort()  # as when the network breaks
        if request.method == "GET" and "/uploads/" in request.path:
            asked.append(request.path)
            answer.headers["Range"] = "0-999999999999"
        return answer

    class Ledger(MemoryLedger):
        """Remembers uploads as a worker's does."""

        def __init__(self) -> None:
            super().__init__()
            self._uploads: dict[tuple[str, str, str], str] = {}

        async def upload(self, host: str, repository: str, key: str) -> str | None:
            return self._uploads.get((host, repository, key))

        async def remember_upload(
            self, host: str, repository: str, key: str, location: str
        ) -> None:
            self._uploads[host, repository, key] = location

        async def forget_upload(self, host: str, repository: str, key: str) -> None:
            self._uploads.pop((host, repository, key), None)

    big = write_big_archive(tmp_path / "big.tar", [3 << 20])
    async with LyingRegistry(lie) as registry:
        engine = ImagePusher(retry=FEW_AND_FAST, ledger=Ledger())
        pushed = await push(engine, big.path, f"{registry.url}/app")
        assert asked
        assert registry.repositories["app"].tags == {"1": pushed.digest}
        # The session with too high an offset is abandoned before anything is sent to it.
        assert ("DELETE", asked[0]) in registry.requests
        assert ("PUT", asked[0]) not in registry.requests


@pytest.mark.parametrize(
    ("value", "offset"),
    [
        ("0-99", 100),
        ("0-0", 0),
        ("0--5", 6),
        ("", 0),
        ("bytes", 0),
        ("0-" + "9" * 5000, 0),
        ("0-1e3", 0),
        ("0-\u0663", 0),
        ("0-0x10", 0),
    ],
)
async def test_any_range_is_an_offset_or_none(value: str, offset: int) -> None:
    def answer(_: web.BaseRequest, __: int) -> web.Response:
        return web.Response(status=204, headers={"Range": value, "Location": "/next"})

    async with Answers(answer) as server, Transport() as transport:
        registry = Registry(transport, server.url)
        session = UploadSession("app", registry.url / "upload")
        assert await registry.uploads.offset(session) == offset


@pytest.mark.parametrize(
    "location",
    ["http://[::1", "http://a:999999/", "ftp://files/x", "file:///etc/passwd"],
)
async def test_a_location_that_is_none(location: str) -> None:
    def answer(_: web.BaseRequest, __: int) -> web.Response:
        return web.Response(status=202, headers={"Location": location})

    async with Answers(answer) as server, Transport() as transport:
        with pytest.raises(ProtocolError, match="unusable address"):
            await Registry(transport, server.url).uploads.start("app")


async def test_a_mount_of_something_else() -> None:
    def answer(_: web.BaseRequest, __: int) -> web.Response:
        return web.Response(status=201, headers={"Docker-Content-Digest": OTHER})

    async with Answers(answer) as server, Transport() as transport:
        ours = sha256_digest(b"ours")
        with pytest.raises(DigestMismatchError, match=f"stored {OTHER} instead of {ours}"):
            await Registry(transport, server.url).uploads.mount("app", ours, "other")


# Manifests


@pytest.mark.parametrize("claim", [OTHER, None])
async def test_a_manifest_that_is_not_what_was_asked_for(claim: str | None) -> None:
    def answer(_: web.BaseRequest, __: int) -> web.Response:
        return web.Response(
            body=b'{"config": {}}', headers={"Docker-Content-Digest": claim} if claim else {}
        )

    async with Answers(answer) as server:
        reference = "1" if claim else OTHER
        with pytest.raises(DigestMismatchError, match=f"as manifest {OTHER} of app"):
            await get_manifest(server.url, "app", reference)


async def test_a_tag_that_reads_back_as_something_else(tmp_path: Path) -> None:
    manifest = b'{"config": {}}'

    async def lie(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        return web.Response(body=manifest) if _reads_tag(request) else answer

    async with LyingRegistry(lie) as registry:
        stored = sha256_digest(manifest)
        with pytest.raises(
            DigestMismatchError, match=f"app:1 reads back as {stored} instead of"
        ) as caught:
            await push(pusher(), ARCHIVES["containerd"](tmp_path).path, f"{registry.url}/app")
        assert caught.value.registry == registry.host


async def test_a_tag_that_is_never_to_be_seen(tmp_path: Path) -> None:
    async def hide(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        return web.Response(status=404) if _reads_tag(request) else answer

    async with LyingRegistry(hide) as registry:
        with pytest.raises(DigestMismatchError, match=r"reads back as nothing .* cache"):
            await push(pusher(), ARCHIVES["containerd"](tmp_path).path, f"{registry.url}/app")


@pytest.mark.parametrize("status", [401, 403, 405])
async def test_a_tag_that_may_not_be_read_back_is_written_all_the_same(
    status: int, tmp_path: Path
) -> None:
    async def refuse(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        return web.Response(status=status) if _reads_tag(request) else answer

    shared = pusher()
    async with LyingRegistry(refuse) as registry:
        path = ARCHIVES["containerd"](tmp_path).path
        for _ in "new", "there already":
            pushed = await push(shared, path, f"{registry.url}/app")
            assert registry.repositories["app"].tags == {"1": pushed.digest}
            (note,) = pushed.notes
            assert note.startswith(f"{registry.host}/app:1 was written, but not read back: ")


def _reads_tag(request: web.Request) -> bool:
    return request.method == "GET" and request.path.endswith("/manifests/1")


@pytest.mark.parametrize("status", [403, 405])
async def test_who_may_not_ask_for_blobs_sends_them(status: int, tmp_path: Path) -> None:
    async def refuse(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        return web.Response(status=status) if request.method == "HEAD" else answer

    async with LyingRegistry(refuse) as registry:
        path = ARCHIVES["containerd"](tmp_path).path
        pushed = await push(pusher(), path, f"{registry.url}/app")
        assert registry.repositories["app"].tags == {"1": pushed.digest}


@pytest.mark.parametrize("status", [401, 403, 405])
async def test_who_may_not_ask_for_a_signature_s_tag_writes_it(status: int, tmp_path: Path) -> None:
    layout = Layout()
    image = layout.root(layout.image(make_image()), "1")
    signature = layout.sign(image)
    tag = cosign_tag(image)

    async def refuse(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        asks = request.method == "HEAD" and request.path.endswith(f"/manifests/{tag}")
        return web.Response(status=status) if asks else answer

    async with LyingRegistry(refuse) as registry:
        path = layout.write(tmp_path / "image.tar")
        pushed = await push(pusher(), path, f"{registry.url}/app")
        assert registry.repositories["app"].tags == {"1": image["digest"], tag: signature["digest"]}
    (note,) = pushed.notes
    assert note.startswith(
        f"{registry.host}/app:{tag} was written without knowing its old digest: "
    )


def empty_links(folder: Path) -> None:
    """Empty the links, as a kill between opening and writing leaves them."""
    links = [*folder.glob("registry-*/**/app/_*/**/link")]
    assert {"_layers", "_manifests"} <= {part for link in links for part in link.parts}
    for link in links:
        link.write_text("")


async def test_links_that_a_killed_registry_left_half_written_are_mended(
    start_registry: Callable[..., RealRegistry], tmp_path: Path
) -> None:
    registry = start_registry()
    path = ARCHIVES["containerd"](tmp_path).path
    shared = pusher()
    pushed = await push(shared, path, f"{registry.url}/app")
    empty_links(tmp_path)
    assert await push(shared, path, f"{registry.url}/app") == pushed
    assert skopeo_inspect(f"{registry.host}/app:1")["Digest"] == pushed.digest


# Blobs that the registry wrongly reports as present


def claims_all_blobs() -> LyingRegistry:
    """As after a garbage collection that its cache does not know of."""

    async def lie(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        said = request.method == "HEAD" and "/blobs/" in request.path
        return web.Response() if said else answer

    return LyingRegistry(lie)


async def test_blobs_that_a_registry_only_says_it_has_are_sent(tmp_path: Path) -> None:
    async with claims_all_blobs() as registry:
        path = ARCHIVES["containerd"](tmp_path).path
        pushed = await push(pusher(), path, f"{registry.url}/app")
        assert registry.repositories["app"].tags == {"1": pushed.digest}


async def test_only_those_are_sent_that_are_missing(tmp_path: Path) -> None:
    big = write_big_archive(tmp_path / "big.tar", [2_000_000, 3_000_000])
    shared = pusher()
    async with claims_all_blobs() as registry:
        await push(shared, big.path, f"{registry.url}/app")
        app = registry.repository("app")
        lost = max(app.blobs, key=lambda digest: len(app.blobs[digest]))
        del app.blobs[lost]
        app.manifests.clear()
        before = registry.requests.copy()
        await push(shared, big.path, f"{registry.url}/app")
        sent = registry.requests - before
        assert lost in app.blobs
    assert sent["POST", "/v2/app/blobs/uploads/"] == 1


async def test_a_compressed_archive_is_read_by_one_of_those_at_a_time(tmp_path: Path) -> None:
    big = write_big_archive(tmp_path / "big.tar", [2_000_000, 2_100_000, 2_200_000])
    packed = tmp_path / "big.tar.gz"
    packed.write_bytes(gzip.compress(big.path.read_bytes(), compresslevel=1))
    async with claims_all_blobs() as registry, FaultProxy(registry.url) as proxy:
        keep = CompressionPolicy.KEEP
        await push(pusher(), packed, f"{proxy.url}/app", compression=keep)
        sent = [each.method for each in proxy.requests if "/blobs/uploads/" in each.path]
    assert sent.count("POST") == 4
    assert "POST POST" not in " ".join(sent)


async def test_blobs_that_stay_missing_name_the_cause(tmp_path: Path) -> None:
    async def lose(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        registry.repository("app").blobs.clear()
        return answer

    registry = LyingRegistry(lose)
    async with registry:
        with pytest.raises(BlobUnknownError, match=r"lacks them after .* garbage collection") as e:
            await push(pusher(), ARCHIVES["containerd"](tmp_path).path, f"{registry.url}/app")
    assert e.value.registry == registry.host


async def test_a_registry_whose_cache_outlives_its_garbage_collection(tmp_path: Path) -> None:
    path = ARCHIVES["containerd"](tmp_path).path
    folder = tmp_path / "registry"
    with run_registry(folder, cache="inmemory") as registry:
        digest = (await push(pusher(), path, f"{registry.url}/app")).digest
        await delete_image_by_digest(registry.url, "app", digest)
        collect_garbage(folder)
        # It believes that all it remembers is stored, the manifest as well, and answers 201.
        with pytest.raises(DigestMismatchError, match=r"reads back as nothing .* cache"):
            await push(pusher(), path, f"{registry.url}/app")
    with run_registry(folder, cache="inmemory") as restarted:
        assert (await push(pusher(), path, f"{restarted.url}/app")).digest == digest


# Slow commits


async def test_a_commit_may_take_longer_than_other_answers(tmp_path: Path) -> None:
    big = write_big_archive(tmp_path / "big.tar", [2_000_000])
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        held = proxy.hold(is_commit)
        async with Transport(timeout=3, commit_timeout=60) as transport:
            target = Target(Registry(transport, URL(proxy.url)), "app", ("1",))
            with ImageArchive(big.path) as archive:
                pushing = asyncio.create_task(pusher().push(archive, archive.select(), [target]))
                await held.reached.wait()
                await asyncio.sleep(4)  # the time that is not to count
                held.release()
                await pushing
        assert proxy.count(is_patch) == 1


@pytest.mark.parametrize("cut", [True, False], ids=["the connection breaks", "time is over"])
async def test_a_blob_whose_commit_was_not_heard_of_is_asked_for_before_it_is_sent_again(
    cut: bool, tmp_path: Path, registry_url: str, repository: str
) -> None:
    big = write_big_archive(tmp_path / "big.tar", [2_000_000])
    async with FaultProxy(registry_url) as proxy, asyncio.timeout(60):
        commit = proxy.detain(is_commit, cut=cut)

        def asks_for_it(request: Request) -> bool:
            ended = [end.target for end in proxy.requests if is_commit(end)]
            digest = request.path.rpartition("sha256:")[2]
            return is_blob_head(request) and any(digest in target for target in ended)

        question = proxy.hold(asks_for_it)
        place = f"{proxy.url}/{repository}"
        pushing = asyncio.create_task(push(pusher(), big.path, place, timeout=4))
        await question.reached.wait()
        commit.release()
        await commit.answered.wait()
        question.release()
        await pushing
        assert proxy.count(is_patch) == 1


async def test_a_tag_that_shows_late_is_waited_for(tmp_path: Path) -> None:
    asked: list[str] = []

    async def late(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        if request.method == "GET" and request.path.endswith("/manifests/1"):
            asked.append(request.path)
            if len(asked) == 1:
                return web.Response(status=404)
        return answer

    async with LyingRegistry(late) as registry:
        await push(pusher(), ARCHIVES["containerd"](tmp_path).path, f"{registry.url}/app")
    assert len(asked) == 2


async def test_reading_back_costs_one_request_a_tag(tmp_path: Path) -> None:
    async with SpecRegistry() as registry:
        path = ARCHIVES["containerd"](tmp_path).path
        await push(pusher(), path, f"{registry.url}/app")
        requests = registry.requests.total()
        assert registry.requests["GET", "/v2/app/manifests/1"] == 1
        await push(pusher(), path, f"{registry.url}/app")
        # One HEAD by digest, one GET by tag: nothing has to be put, so nothing is read back.
        assert registry.requests.total() == requests + 2


async def test_another_manifest_under_our_digest_is_not_taken_for_ours(tmp_path: Path) -> None:
    async def lie(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        if request.method == "HEAD" and "/manifests/" in request.path:
            return web.Response(headers={"Docker-Content-Digest": OTHER})
        return answer

    async with LyingRegistry(lie) as registry:
        pushed = await push(pusher(), ARCHIVES["containerd"](tmp_path).path, f"{registry.url}/app")
        assert registry.repositories["app"].tags == {"1": pushed.digest}


@pytest.mark.parametrize("headers", [{}, {"Docker-Content-Digest": OTHER}])
async def test_a_registry_that_only_says_that_it_has_the_image(
    headers: dict[str, str], tmp_path: Path
) -> None:
    async def lie(request: web.Request, answer: web.StreamResponse) -> web.StreamResponse:
        return web.Response(headers=headers) if request.method == "HEAD" else answer

    async with LyingRegistry(lie) as registry:
        with pytest.raises((BlobUnknownError, ManifestUnknownError, DigestMismatchError)):
            await push(pusher(), ARCHIVES["containerd"](tmp_path).path, f"{registry.url}/app")


# Lists


async def test_a_list_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_MAX_PAGES", 20)

    def answer(_: web.BaseRequest, count: int) -> web.Response:
        link = f'</v2/app/tags/list?last={count}>; rel="next"'
        return web.json_response({"tags": [str(count)]}, headers={"Link": link})

    async with Answers(answer) as server:
        with pytest.raises(ProtocolError, match="tags of app: the list has no end"):
            await list_tags(server.url, "app")
        assert server.count == 20


async def test_a_list_of_too_many_names(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(catalog, "_MAX_NAMES", 50)

    def answer(_: web.BaseRequest, count: int) -> web.Response:
        link = f'</v2/app/tags/list?last={count}>; rel="next"'
        return web.json_response({"tags": ["x"] * 20}, headers={"Link": link})

    async with Answers(answer) as server:
        with pytest.raises(ProtocolError, match="the list has no end"):
            await list_tags(server.url, "app")
        assert server.count == 3


async def test_the_next_page_is_on_the_same_host() -> None:
    def elsewhere(_: web.BaseRequest, __: int) -> web.Response:
        return web.json_response({"tags": ["stolen"]})

    async with Answers(elsewhere) as other:

        def answer(request: web.BaseRequest, count: int) -> web.Response:
            link = f'<{other.url}/v2/app/tags/list?last=a%2Fb>; rel="next"'
            assert count == 1 or request.raw_path == "/v2/app/tags/list?last=a%2Fb"
            headers = {"Link": link} if count == 1 else {}
            return web.json_response({"tags": [str(count)]}, headers=headers)

        async with Answers(answer) as server:
            assert await list_tags(server.url, "app") == ["1", "2"]
        assert other.count == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        (b"[" * 100_000, "is not valid JSON"),
        (b'{"tags": [' + b"0," * 300_000 + b"0]}", "more than 250000 values"),
        (b'{"tags": [' + b" " * (9 << 20) + b"]}", "sent more than 8388608 bytes"),
        (b'{"tags": [1]}', "tags is not a list of names"),
        (b'{"tags": {"a": 1}}', "tags is not a list of names"),
        (b"\x1b[2J", "is not valid JSON"),
        (json.dumps("x").encode(), "is not an object"),
    ],
)
async def test_bodies_that_are_no_list(body: bytes, words: str) -> None:
    async with Answers(lambda _, __: web.Response(body=body)) as server:
        with pytest.raises(ProtocolError, match=words) as caught:
            await list_tags(server.url, "app")
        assert str(caught.value).isprintable()
