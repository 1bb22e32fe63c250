"""One push to several registries and repositories: each layer is read and encoded once."""

import asyncio
import threading
from collections import Counter, defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from registry_api_v2_client.api.blobs import Blobs
from registry_api_v2_client.archive.files import Member
from registry_api_v2_client.archive.image_archive import ImageArchive
from registry_api_v2_client.archive.tar_index import MemberReader, TarIndex
from registry_api_v2_client.exceptions import (
    DeniedError,
    NoSlotError,
    RegistryError,
    RegistryTimeoutError,
    RegistryUnavailableError,
    ServerError,
)
from registry_api_v2_client.media_types import Compression
from registry_api_v2_client.push.compression import CompressionPolicy, encoder_for
from registry_api_v2_client.push.engine import ImagePusher
from registry_api_v2_client.push.ledger import MemoryLedger
from registry_api_v2_client.push.upload_limits import LocalLimits
from tests.support.big_images import BigArchive, write_big_archive
from tests.support.contents import as_image
from tests.support.images import sha256_digest
from tests.support.processes import free_port
from tests.support.proxy import (
    FaultProxy,
    Predicate,
    Request,
    is_blob_put,
    is_manifest_put,
    is_patch,
)
from tests.support.pushes import FEW_AND_FAST, push
from tests.support.silent_server import SilentServer
from tests.support.skopeo import decompress
from tests.support.spec_registry import SpecRegistry

pytestmark = pytest.mark.integration

LAYERS = [6_000_000, 3_000_000, 50_000]
IMAGE_UPLOADS = 3
"""Blobs of an image that are sent at the same time."""


@pytest.fixture
def big(tmp_path: Path) -> BigArchive:
    return write_big_archive(tmp_path / "big.tar", LAYERS)


@pytest.fixture
async def one() -> AsyncIterator[SpecRegistry]:
    async with SpecRegistry() as registry:
        yield registry


@pytest.fixture
async def two() -> AsyncIterator[SpecRegistry]:
    async with SpecRegistry() as registry:
        yield registry


def is_layer_put(request: Request) -> bool:
    """The end of a blob that was streamed."""
    return is_blob_put(request) and request.headers.get("content-length", "0") == "0"


def diff_ids(registry: SpecRegistry, repository: str) -> list[str]:
    """Of the layers that the repository holds for its image, once they are decompressed."""
    stored = registry.repositories[repository].blobs
    layers = registry.manifest(repository, "1")["layers"]
    return [sha256_digest(decompress(stored[layer["digest"]])) for layer in layers]


def blob_uploads(registry: SpecRegistry, repository: str) -> int:
    """Blobs whose bytes were sent to the repository."""
    path = f"/v2/{repository}/blobs/uploads/"
    puts = (method == "PUT" and where.startswith(path) for method, where in registry.requests)
    return sum(puts)


@pytest.mark.parametrize("compression", CompressionPolicy)
async def test_each_layer_is_read_and_encoded_once(
    compression: CompressionPolicy,
    big: BigArchive,
    one: SpecRegistry,
    two: SpecRegistry,
    pusher: ImagePusher,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened: Counter[str] = Counter()
    encoded: list[int] = []
    lock = threading.Lock()
    encoder = encoder_for(compression, Compression.NONE)
    encode = encoder.encode

    def counting(self: Any, block: memoryview) -> tuple[Sequence[bytes], int]:
        with lock:
            encoded.append(len(block))
        return encode(self, block)

    open_member = TarIndex.open

    def counting_open(self: TarIndex, member: Member) -> MemberReader:
        opened[member.name] += 1
        return open_member(self, member)

    monkeypatch.setattr(TarIndex, "open", counting_open)
    monkeypatch.setattr(encoder, "encode", counting)
    places = [f"{registry.url}/{name}" for registry in (one, two) for name in ("app", "copy")]
    await push(pusher, big.path, *places, compression=compression)
    layers = [f"blobs/sha256/{diff_id.removeprefix('sha256:')}" for diff_id in big.diff_ids]
    assert [opened[name] for name in layers] == [1] * len(LAYERS)
    with ImageArchive(big.path) as plain:
        assert sum(encoded) == sum(layer.size for layer in as_image(plain.select()).layers)
    for registry in (one, two):
        for name in ("app", "copy"):
            assert diff_ids(registry, name) == big.diff_ids
        assert registry.manifest("app", "1") == registry.manifest("copy", "1")
    assert one.manifest("app", "1") == two.manifest("app", "1")


async def test_the_second_repository_of_each_registry_is_mounted(
    big: BigArchive, one: SpecRegistry, two: SpecRegistry, pusher: ImagePusher
) -> None:
    places = [f"{registry.url}/{name}" for registry in (one, two) for name in ("app", "copy")]
    await push(pusher, big.path, *places)
    for registry in (one, two):
        assert blob_uploads(registry, "app") == len(LAYERS) + 1, "layers and config"
        assert blob_uploads(registry, "copy") == 0


async def test_a_registry_that_has_the_layers_is_not_sent_them(
    big: BigArchive, one: SpecRegistry, two: SpecRegistry, pusher: ImagePusher
) -> None:
    await push(pusher, big.path, f"{one.url}/app")
    one.requests.clear()
    await push(pusher, big.path, f"{one.url}/app", f"{two.url}/app")
    assert blob_uploads(one, "app") == 0
    assert diff_ids(two, "app") == big.diff_ids


# Targets that fail


async def test_a_registry_that_is_down_keeps_no_other_from_its_image(
    big: BigArchive, one: SpecRegistry, two: SpecRegistry, pusher: ImagePusher
) -> None:
    down = f"http://127.0.0.1:{free_port()}"
    with pytest.raises(RegistryUnavailableError, match=down):
        await push(pusher, big.path, f"{one.url}/app", f"{down}/app", f"{two.url}/app")
    assert diff_ids(one, "app") == diff_ids(two, "app") == big.diff_ids


SHORT_TIMEOUT = 4.0
"""In seconds; healthy registries answer much faster."""


@pytest.fixture
def worker_pusher() -> Iterator[ImagePusher]:
    """It leaves it to the queue to wait for a registry that is silent."""
    pusher = ImagePusher(retry=replace(FEW_AND_FAST, after_timeouts=False))
    yield pusher
    pusher.close()


async def test_a_registry_that_says_nothing_is_waited_for_once(
    big: BigArchive, one: SpecRegistry, two: SpecRegistry, worker_pusher: ImagePusher
) -> None:
    async with SilentServer() as silent:
        places = [f"{one.url}/app", f"{silent.url}/app", f"{silent.url}/copy", f"{two.url}/app"]
        with pytest.raises(RegistryTimeoutError, match=silent.host) as caught:
            await push(worker_pusher, big.path, *places, timeout=SHORT_TIMEOUT)
        assert caught.value.registry == silent.host
        assert silent.connections <= IMAGE_UPLOADS, "no blob is tried after those under way"
    assert diff_ids(one, "app") == diff_ids(two, "app") == big.diff_ids


@pytest.mark.parametrize(
    ("request_of", "after"),
    [(is_patch, 0), (is_patch, 1_500_000), (is_blob_put, 0), (is_manifest_put, 0)],
)
async def test_a_registry_that_falls_silent_keeps_no_other_from_its_image(
    request_of: Predicate,
    after: int,
    big: BigArchive,
    one: SpecRegistry,
    two: SpecRegistry,
    worker_pusher: ImagePusher,
) -> None:
    hanging = SpecRegistry()
    async with hanging, FaultProxy(hanging.url) as proxy:
        proxy.hold(request_of, after=after)
        with pytest.raises(RegistryTimeoutError, match=proxy.host):
            await push(
                worker_pusher,
                big.path,
                f"{one.url}/app",
                f"{proxy.url}/app",
                f"{two.url}/app",
                timeout=SHORT_TIMEOUT,
            )
        assert hanging.repository("app").tags == {}
    assert diff_ids(one, "app") == diff_ids(two, "app") == big.diff_ids
    for registry in (one, two):
        assert blob_uploads(registry, "app") == len(LAYERS) + 1, "nothing is sent twice"


async def test_registries_that_are_down_are_found_out_at_the_same_time(
    big: BigArchive, one: SpecRegistry
) -> None:
    failed: list[str | None] = []

    class Limits(LocalLimits):
        async def failed(self, error: RegistryError) -> None:
            failed.append(error.registry)

    pusher = ImagePusher(retry=FEW_AND_FAST, limits=Limits())
    down = [f"127.0.0.1:{free_port()}" for _ in range(16)]
    places = [f"http://{host}/app" for host in down]
    with pytest.raises(RegistryUnavailableError):
        await push(pusher, big.path, *places[:8], f"{one.url}/app", *places[8:])
    pusher.close()
    assert set(failed[: len(down)]) == set(down), "each is tried before one is tried again"
    assert diff_ids(one, "app") == big.diff_ids


@pytest.mark.parametrize("after", [0, 1_500_000])
async def test_a_registry_that_always_breaks_off_keeps_no_other_from_its_image(
    after: int, big: BigArchive, one: SpecRegistry, two: SpecRegistry, pusher: ImagePusher
) -> None:
    broken = SpecRegistry(resumes=False)
    async with broken, FaultProxy(broken.url) as proxy:
        proxy.cut(is_patch, after=after, times=50)
        with pytest.raises(RegistryUnavailableError, match=proxy.host):
            await push(pusher, big.path, f"{one.url}/app", f"{proxy.url}/app", f"{two.url}/app")
        assert broken.repositories["app"].tags == {}
    assert diff_ids(one, "app") == diff_ids(two, "app") == big.diff_ids


async def test_a_repository_that_is_forbidden_keeps_no_other_from_its_image(
    big: BigArchive, one: SpecRegistry, two: SpecRegistry, pusher: ImagePusher
) -> None:
    def is_forbidden(request: Request) -> bool:
        return request.path.startswith("/v2/forbidden/") and request.method != "HEAD"

    async with FaultProxy(one.url) as proxy:
        proxy.answer(is_forbidden, status=403, times=50)
        places = [f"{proxy.url}/forbidden", f"{proxy.url}/app", f"{two.url}/app"]
        with pytest.raises(DeniedError, match="forbidden"):
            await push(pusher, big.path, *places)
    assert diff_ids(one, "app") == diff_ids(two, "app") == big.diff_ids


class Slots(LocalLimits):
    """Has none for ``closed``; ``ended`` tells how each was left, by registry."""

    def __init__(self, closed: str = "") -> None:
        super().__init__()
        self.asked: Counter[str] = Counter()
        self.ended: dict[str, list[type[BaseException] | None]] = defaultdict(list)
        self._closed = closed

    @asynccontextmanager
    async def slot(self, registry: str) -> AsyncIterator[None]:
        self.asked[registry] += 1
        if registry == self._closed:
            raise NoSlotError(f"{registry} asks for a pause")
        try:
            yield
        except RegistryError as error:
            self.ended[registry].append(type(error))
            raise
        self.ended[registry].append(None)


async def test_a_registry_without_a_slot_keeps_no_other_from_its_image(
    big: BigArchive, one: SpecRegistry, two: SpecRegistry
) -> None:
    async with SpecRegistry() as busy:
        limits = Slots(closed=busy.host)
        pusher = ImagePusher(limits=limits, retry=FEW_AND_FAST)
        places = [f"{one.url}/app", f"{busy.url}/app", f"{busy.url}/copy", f"{two.url}/app"]
        with pytest.raises(NoSlotError, match=busy.host):
            await push(pusher, big.path, *places)
        pusher.close()
        assert limits.asked[busy.host] <= IMAGE_UPLOADS, "by the blobs under way, and once each"
        assert not busy.repositories
    assert diff_ids(one, "app") == diff_ids(two, "app") == big.diff_ids


async def test_a_registry_that_is_done_with_a_blob_is_free_while_another_hangs(
    tmp_path: Path, one: SpecRegistry, two: SpecRegistry
) -> None:
    big = write_big_archive(tmp_path / "big.tar", LAYERS[:1])
    limits = Slots()
    pusher = ImagePusher(limits=limits, retry=FEW_AND_FAST)
    async with FaultProxy(two.url) as hanging:
        hold = hanging.hold(is_layer_put)
        places = [f"{one.url}/app", f"{hanging.url}/app"]
        first = asyncio.create_task(push(pusher, big.path, *places))
        await hold.reached.wait()
        async with asyncio.timeout(60):
            await push(pusher, big.path, f"{one.url}/copy")
        assert not first.done()
        assert blob_uploads(one, "copy") == 0, "it waited for the claim, which was given back"
        assert limits.ended[one.host] == [None, None], "of layer and config"
        hold.release()
        await first
    pusher.close()
    assert diff_ids(one, "app") == diff_ids(one, "copy") == diff_ids(two, "app") == big.diff_ids


async def test_a_slot_hears_of_the_upload_that_failed(
    big: BigArchive, one: SpecRegistry, two: SpecRegistry
) -> None:
    limits = Slots()
    pusher = ImagePusher(limits=limits, retry=replace(FEW_AND_FAST, attempts=1))
    async with FaultProxy(two.url) as broken:
        broken.answer(lambda request: request.method == "POST", status=502, times=50)
        with pytest.raises(ServerError):
            await push(pusher, big.path, f"{one.url}/app", f"{broken.url}/app")
        assert set(limits.ended[broken.host]) == {ServerError}
    pusher.close()
    assert set(limits.ended[one.host]) == {None}


@pytest.mark.parametrize("refused", ["1", "2"])
@pytest.mark.parametrize("known", [False, True])
async def test_a_tag_that_is_refused_keeps_no_other_from_its_image(
    refused: str, known: bool, big: BigArchive, one: SpecRegistry, pusher: ImagePusher
) -> None:
    """As a registry with immutable tags does, if the tag of the version exists."""

    def is_refused(request: Request) -> bool:
        return is_manifest_put(request) and request.path.endswith(f"/manifests/{refused}")

    if known:
        await push(pusher, big.path, f"{one.url}/app", tags=("0",))
    async with FaultProxy(one.url) as proxy:
        proxy.answer(is_refused, status=403, times=5)
        with pytest.raises(DeniedError, match=f"app:{refused}"):
            await push(pusher, big.path, f"{proxy.url}/app", tags=("1", "2", "3"))
        assert proxy.count(is_refused) == 1
    assert set(one.repository("app").tags) - {"0"} == {"1", "2", "3"} - {refused}


async def test_a_registry_that_falls_silent_at_a_tag_is_not_asked_for_the_next(
    big: BigArchive, one: SpecRegistry, worker_pusher: ImagePusher
) -> None:
    async with FaultProxy(one.url) as proxy:
        proxy.hold(lambda request: request.path.endswith("/manifests/1"))
        with pytest.raises(RegistryTimeoutError):
            await push(
                worker_pusher, big.path, f"{proxy.url}/app", tags=("1", "2"), timeout=SHORT_TIMEOUT
            )
        assert proxy.count(lambda request: request.path.endswith("/manifests/2")) == 0


async def test_a_broken_archive_is_given_up_for_all_targets_at_once(
    big: BigArchive, one: SpecRegistry, two: SpecRegistry, pusher: ImagePusher
) -> None:
    content = bytearray(big.path.read_bytes())
    content[3_000_000] ^= 1
    big.path.write_bytes(content)
    with pytest.raises(RegistryError) as caught:
        await push(pusher, big.path, f"{one.url}/app", f"{two.url}/app")
    assert caught.value.kind == "archive_digest_mismatch"
    for registry in (one, two):
        assert registry.repository("app").tags == {}
        assert registry.repository("app").uploads == {}
        posts = registry.requests["POST", "/v2/app/blobs/uploads/"]
        assert posts <= len(LAYERS) + 1, "not tried again"


async def test_a_break_at_one_registry_does_not_send_all_to_the_other_again(
    big: BigArchive, one: SpecRegistry, two: SpecRegistry, pusher: ImagePusher
) -> None:
    async with FaultProxy(one.url) as steady, FaultProxy(two.url) as shaky:
        shaky.cut(is_patch, after=1_500_000)
        await push(pusher, big.path, f"{steady.url}/app", f"{shaky.url}/app")
        whole = sum(layer["size"] for layer in one.manifest("app", "1")["layers"])
        for registry, proxy in ((one, steady), (two, shaky)):
            assert diff_ids(registry, "app") == big.diff_ids
            assert proxy.bytes_sent() < 1.2 * whole


async def test_slow_and_fast_registries_both_get_all(
    big: BigArchive, one: SpecRegistry, two: SpecRegistry, pusher: ImagePusher
) -> None:
    async with FaultProxy(one.url) as slow:
        hold = slow.hold(is_patch, after=500_000)
        pushing = asyncio.create_task(push(pusher, big.path, f"{slow.url}/app", f"{two.url}/app"))
        await hold.reached.wait()
        assert not pushing.done()
        hold.release()
        await pushing
    assert diff_ids(one, "app") == diff_ids(two, "app") == big.diff_ids


# Several pushes at once


async def test_pushes_to_the_same_registries_in_another_order_do_not_wait_for_each_other(
    big: BigArchive, one: SpecRegistry, two: SpecRegistry, pusher: ImagePusher
) -> None:
    async with asyncio.timeout(60):
        await asyncio.gather(
            push(pusher, big.path, f"{one.url}/a", f"{two.url}/a"),
            push(pusher, big.path, f"{two.url}/b", f"{one.url}/b"),
        )
    for registry in (one, two):
        assert diff_ids(registry, "a") == diff_ids(registry, "b") == big.diff_ids
        layers = [layer["digest"] for layer in registry.manifest("a", "1")["layers"]]
        # The config may come twice: for a blob that small, asking again costs as much as sending.
        assert [registry.received[layer] for layer in layers] == [1] * len(LAYERS)


async def test_claims_are_taken_in_the_same_order_whichever_registry_answers_first(
    tmp_path: Path, one: SpecRegistry, two: SpecRegistry, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise two pushes could each hold what the other waits for."""
    big = write_big_archive(tmp_path / "big.tar", LAYERS[:1])
    claimed: dict[str, list[str]] = defaultdict(list)

    class Ledger(MemoryLedger):
        @asynccontextmanager
        async def claim(self, registry: str, key: str, size: int) -> AsyncIterator[bool]:
            claimed[key].append(registry)
            async with super().claim(registry, key, size) as mine:
                yield mine

    slow, fast = sorted([one.host, two.host])
    answered = asyncio.Event()
    has = Blobs.has

    async def ask(self: Blobs, *asked: Any) -> bool:
        if self._endpoint.host == slow and not claimed:
            await answered.wait()
        held = await has(self, *asked)
        if self._endpoint.host == fast:
            answered.set()
        return held

    monkeypatch.setattr(Blobs, "has", ask)
    pusher = ImagePusher(ledger=Ledger(), retry=FEW_AND_FAST)
    # As it is in the archive, so that registries can be asked for it.
    keep = CompressionPolicy.KEEP
    await push(pusher, big.path, f"{one.url}/app", f"{two.url}/app", compression=keep)
    pusher.close()
    assert list(claimed.values()) == [[slow, fast]] * 2, "of the layer, and of the config"


async def test_a_blob_that_arrived_just_before_the_claim_is_not_sent_again(
    tmp_path: Path, one: SpecRegistry
) -> None:
    """The other upload ends between the first look and the claim, so nobody is waited for."""
    big = write_big_archive(tmp_path / "big.tar", LAYERS[:1])
    arrived: list[str] = []

    class LateLedger(MemoryLedger):
        @asynccontextmanager
        async def claim(self, registry: str, key: str, size: int) -> AsyncIterator[bool]:
            if size > LAYERS[0] and not arrived:
                arrived.append(key)
                await push(other, big.path, f"{one.url}/first")
            async with super().claim(registry, key, size) as waited:
                yield waited

    ledger = LateLedger()
    other = ImagePusher(ledger=ledger, retry=FEW_AND_FAST)
    late = ImagePusher(ledger=ledger, retry=FEW_AND_FAST)
    await push(late, big.path, f"{one.url}/second")
    assert diff_ids(one, "first") == diff_ids(one, "second") == big.diff_ids
    patches = [path for method, path in one.requests if method == "PATCH"]
    assert len(patches) == 1
    for pusher in (other, late):
        pusher.close()
