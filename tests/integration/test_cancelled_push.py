"""A push that is cancelled ends its uploads in order. Else distribution 2.8 forgets them: they can
neither be deleted nor resumed, and fill its storage.
"""

import asyncio
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from registry_api_v2_client import (
    BlobProgress,
    OpenUploads,
    RegistryClient,
    list_tags,
    parse_reference,
)
from registry_api_v2_client.api import uploads as upload_requests
from registry_api_v2_client.push import uploads as blob_uploads
from tests.support.big_images import write_big_archive
from tests.support.proxy import FaultProxy, is_patch
from tests.support.servers import Registry, run_registry

pytestmark = pytest.mark.integration

LAYERS = 3
LAYER_BYTES = 20_000_000
CANCEL_AT = 2_000_000
PATIENT_SECONDS = 60


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow this machine is, the end of an upload is not cut short."""
    monkeypatch.setattr(upload_requests, "_END_SECONDS", PATIENT_SECONDS)
    monkeypatch.setattr(blob_uploads, "_ABANDON_SECONDS", PATIENT_SECONDS)


@pytest.fixture
def storage(tmp_path: Path) -> Path:
    return tmp_path / "registry"


@pytest.fixture
def registry(storage: Path) -> Iterator[Registry]:
    with run_registry(storage) as registry:
        yield registry


@pytest.fixture(scope="module")
def archive(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("image") / "image.tar"
    write_big_archive(path, [LAYER_BYTES] * LAYERS)
    return path


def found(folder: Path, pattern: str) -> list[Path]:
    return list(folder.rglob(pattern))


async def cancelled_push(
    client: RegistryClient, archive: Path, target: str, uploads: OpenUploads | None = None
) -> None:
    """Push, and cancel once every layer is under way."""
    under_way: set[str] = set()

    def cancel_in_the_middle(progress: BlobProgress) -> None:
        if CANCEL_AT < progress.done < progress.size:
            under_way.add(progress.digest)
        if len(under_way) == LAYERS and not push.cancelling():
            push.cancel()

    push = asyncio.create_task(
        client.push(
            archive,
            [parse_reference(target)],
            image_uploads=LAYERS,
            on_progress=cancel_in_the_middle,
            uploads=uploads,
        )
    )
    with suppress(asyncio.CancelledError):
        await push
    assert push.cancelled()


async def test_it_leaves_no_upload_at_distribution(
    registry: Registry, storage: Path, archive: Path
) -> None:
    async with RegistryClient() as client:
        await cancelled_push(client, archive, f"{registry.host}/app:1")
    assert found(storage, "_uploads"), "it had begun"
    assert not found(storage, "_uploads/*/data")


async def test_distribution_goes_on_with_uploads_that_were_kept(
    registry: Registry, archive: Path
) -> None:
    async with FaultProxy(registry.url) as proxy, RegistryClient() as client:
        target = f"{proxy.host}/app:1"
        await cancelled_push(client, archive, target, OpenUploads())
        await client.push(archive, [parse_reference(target)])
        sessions = {request.path for request in proxy.requests if is_patch(request)}
    assert len(sessions) == LAYERS, "one for each layer, in both pushes"
    assert await list_tags(registry.url, "app") == ["1"]


async def test_it_does_not_wait_for_a_registry_that_stands_still(
    registry: Registry, archive: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(upload_requests, "_END_SECONDS", 0.01)
    async with FaultProxy(registry.url) as proxy, RegistryClient() as client:
        held = proxy.hold(is_patch, after=CANCEL_AT)
        push = asyncio.create_task(
            client.push(archive, [parse_reference(f"{proxy.host}/app:1")], image_uploads=1)
        )
        await held.reached.wait()
        push.cancel()
        await asyncio.wait({push})
        assert push.cancelled()
        assert any(request.method == "DELETE" for request in proxy.requests)
