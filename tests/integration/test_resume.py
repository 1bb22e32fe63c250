"""An upload that breaks off goes on where it stopped: in the process, and in another worker."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
from aiohttp import web

from producer import JobState, PushQueue
from push_queue.models.job_status import Outcome
from registry_api_v2_client.push.compression import CompressionPolicy
from registry_api_v2_client.push.engine import ImagePusher
from tests.support.big_images import write_big_layer
from tests.support.images import docker_legacy, make_image, sha256_digest, write_archive
from tests.support.proxy import FaultProxy, Request, is_patch
from tests.support.pushes import encoded, push
from tests.support.servers import StartWorker
from tests.support.skopeo import skopeo_copy_to_dir
from tests.support.spec_registry import SpecRegistry, error, upload_status

pytestmark = pytest.mark.integration


LAYER_BYTES = 40_000_000
"""More than all buffers on the way hold. Of a larger layer the shares below are easier to keep."""
CUT_AT = 0.6
"""Share of the layer, as sent, that has reached the registry when the upload breaks off."""
MOST_SENT_AGAIN = 0.45
"""Share that may go over the wire after that; 0.4 is what is missing."""
OTHER_BYTES = 2000
"""The config, which is sent along."""


@dataclass(frozen=True)
class Layer:
    """A large layer, and an archive whose only layer it is."""

    path: Path
    content: bytes

    def sent_as(self, compression: CompressionPolicy) -> bytes:
        return encoded(self.content, compression)


@pytest.fixture(scope="module")
def layer(tmp_path_factory: pytest.TempPathFactory) -> Layer:
    directory = tmp_path_factory.mktemp("layer")
    with (directory / "layer").open("wb") as file:
        write_big_layer(file, LAYER_BYTES)
    content = (directory / "layer").read_bytes()
    archive = write_archive(directory / "image.tar", docker_legacy, make_image(content))
    return Layer(archive.path, content)


@dataclass(frozen=True)
class Break:
    """A break of the upload of a layer that goes over the wire as `whole`."""

    whole: bytes

    @property
    def after(self) -> int:
        return int(CUT_AT * len(self.whole))

    def assert_mended(self, proxy: FaultProxy, registry: SpecRegistry) -> None:
        """The layer arrived as if nothing had happened, and no more was sent again than needed."""
        repository = registry.repositories["app"]
        (descriptor,) = registry.manifest("app", "1")["layers"]
        assert repository.blobs[descriptor["digest"]] == self.whole
        assert repository.uploads == {}
        rest = proxy.bytes_sent() - self.after
        assert len(self.whole) - self.after <= rest < MOST_SENT_AGAIN * len(self.whole)


def is_upload_status(request: Request) -> bool:
    """The question how much of an upload the registry holds."""
    return request.method == "GET" and "/blobs/uploads/" in request.path


def stored_layer(registry: SpecRegistry) -> bytes:
    (descriptor,) = registry.manifest("app", "1")["layers"]
    return registry.repositories["app"].blobs[descriptor["digest"]]


# In the same process


@pytest.mark.parametrize("compression", CompressionPolicy)
async def test_a_cut_upload_goes_on_where_it_stopped(
    compression: CompressionPolicy, layer: Layer, pusher: ImagePusher
) -> None:
    broken = Break(layer.sent_as(compression))
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        proxy.cut(is_patch, after=broken.after)
        await push(pusher, layer.path, f"{proxy.url}/app", compression=compression)
        broken.assert_mended(proxy, registry)
        assert proxy.count(is_upload_status) == 1


async def test_an_upload_that_is_cut_twice_goes_on_twice(layer: Layer, pusher: ImagePusher) -> None:
    whole = layer.sent_as(CompressionPolicy.GZIP)
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        proxy.cut(is_patch, after=len(whole) // 3, times=2)
        await push(pusher, layer.path, f"{proxy.url}/app")
        assert stored_layer(registry) == whole
        assert proxy.count(is_patch) == 3
        assert proxy.bytes_sent() < 1.1 * len(whole)


async def test_what_all_arrived_is_not_sent_again(layer: Layer, pusher: ImagePusher) -> None:
    whole = layer.sent_as(CompressionPolicy.GZIP)
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        proxy.cut(is_patch, after=len(whole))
        await push(pusher, layer.path, f"{proxy.url}/app")
        assert stored_layer(registry) == whole
        assert proxy.bytes_sent() <= len(whole) + OTHER_BYTES


# In another worker


@pytest.mark.parametrize("compression", CompressionPolicy)
async def test_another_worker_continues_for_one_that_was_killed(
    compression: CompressionPolicy, layer: Layer, queue: PushQueue, worker: StartWorker
) -> None:
    broken = Break(layer.sent_as(compression))
    first = worker(PUSH_QUEUE_LEASE_SECONDS="3")
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        hold = proxy.hold(is_patch, after=broken.after)
        job = await queue.enqueue(
            layer.path,
            f"{proxy.host}/app:1",
            compression=compression.value,
        )
        await hold.reached.wait()
        first.kill()
        worker()
        job = await queue.wait(job.id, timeout=60)
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)
        assert [attempt.outcome for attempt in await queue.attempts(job.id)] == [
            Outcome.LOST,
            Outcome.SUCCEEDED,
        ]
        broken.assert_mended(proxy, registry)


async def test_another_worker_continues_for_one_that_was_stopped(
    layer: Layer, queue: PushQueue, worker: StartWorker
) -> None:
    broken = Break(layer.sent_as(CompressionPolicy.GZIP))
    first = worker(PUSH_QUEUE_SHUTDOWN_GRACE_SECONDS="1")
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        hold = proxy.hold(is_patch, after=broken.after)
        job = await queue.enqueue(layer.path, f"{proxy.host}/app:1")
        await hold.reached.wait()
        assert await asyncio.to_thread(first.terminate) == 0
        assert len(registry.repositories["app"].uploads) == 1
        worker()
        job = await queue.wait(job.id, timeout=60)
        assert (job.state, job.error) == (JobState.SUCCEEDED, None)
        broken.assert_mended(proxy, registry)


# Registries that do not go on


class NeverMindRegistry(SpecRegistry):
    """Reports how much of an upload it holds, and refuses the rest."""

    async def _patch_upload(self, request: web.Request) -> web.Response:
        held = self.repository(request.match_info["name"]).uploads
        if held.get(request.match_info["session"]):
            async for _ in request.content.iter_any():
                pass
            return self._upload_status(request, 416)
        return await super()._patch_upload(request)


class FrozenRegistry(SpecRegistry):
    """Reports less than it holds, so that the bytes do not fit, but keeps the upload."""

    async def _get_upload(self, request: web.Request) -> web.Response:
        name, session = request.match_info["name"], request.match_info["session"]
        held = self.repository(name).uploads.get(session)
        if held is None:
            return error(404, "BLOB_UPLOAD_UNKNOWN")
        return upload_status(name, session, held[: len(held) // 2], 204)

    async def _finish_upload(self, request: web.Request) -> web.Response:
        uploads = self.repository(request.match_info["name"]).uploads
        kept = bytearray(uploads.get(request.match_info["session"], b""))
        answer = await super()._finish_upload(request)
        if answer.status == 400:
            uploads[request.match_info["session"]] = kept
        return answer


@pytest.mark.parametrize(
    "registry",
    [
        pytest.param(lambda: SpecRegistry(resumes=False), id="forgets the upload"),
        pytest.param(NeverMindRegistry, id="refuses the rest"),
        pytest.param(FrozenRegistry, id="tells too little"),
    ],
)
async def test_a_registry_that_does_not_go_on_gets_a_fresh_upload(
    registry: Callable[[], SpecRegistry], layer: Layer, pusher: ImagePusher
) -> None:
    broken = Break(layer.sent_as(CompressionPolicy.GZIP))
    async with registry() as server, FaultProxy(server.url) as proxy:
        proxy.cut(is_patch, after=broken.after)
        await push(pusher, layer.path, f"{proxy.url}/app")
        assert stored_layer(server) == broken.whole
        assert proxy.count(is_upload_status) == 1, "once for one break"


@pytest.mark.parametrize(
    ("status", "code"),
    [(404, "BLOB_UPLOAD_INVALID"), (404, "BLOB_UPLOAD_UNKNOWN"), (416, ""), (405, "UNSUPPORTED")],
)
async def test_a_refused_question_is_not_asked_again(
    status: int, code: str, layer: Layer, pusher: ImagePusher
) -> None:
    broken = Break(layer.sent_as(CompressionPolicy.GZIP))
    body = f'{{"errors":[{{"code":"{code}","message":"no"}}]}}'.encode()
    async with SpecRegistry() as registry, FaultProxy(registry.url) as proxy:
        proxy.cut(is_patch, after=broken.after)
        proxy.answer(is_upload_status, status=status, body=body)
        await push(pusher, layer.path, f"{proxy.url}/app")
        assert stored_layer(registry) == broken.whole
        assert proxy.count(is_upload_status) == 1
        assert registry.repositories["app"].uploads == {}, "the old session is closed"


async def test_distribution_takes_the_layer_after_a_break(
    layer: Layer,
    pusher: ImagePusher,
    registry_url: str,
    registry_host: str,
    repository: str,
    tmp_path: Path,
) -> None:
    broken = Break(layer.sent_as(CompressionPolicy.GZIP))
    async with FaultProxy(registry_url) as proxy:
        proxy.cut(is_patch, after=broken.after)
        await push(pusher, layer.path, f"{proxy.url}/{repository}")
        assert proxy.count(is_upload_status) == 1
    pulled = skopeo_copy_to_dir(f"{registry_host}/{repository}:1", tmp_path / "back")
    assert list(map(sha256_digest, pulled.contents)) == [sha256_digest(layer.content)]
