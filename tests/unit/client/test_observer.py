"""A client tells its observer each request, each block that it encodes, and each retry."""

import tarfile
from collections import Counter
from pathlib import Path

import pytest

from registry_api_v2_client import (
    EndedRequest,
    Observer,
    RegistryClient,
    RegistryError,
    RegistryUnavailableError,
    RetryPolicy,
    parse_reference,
)
from registry_api_v2_client.retry import Retrier
from tests.support.big_images import write_big_archive
from tests.support.processes import free_port
from tests.support.spec_registry import SpecRegistry

SMALL, LARGE = 1000, 2_500_000


class Ears(Observer):
    """Keeps all that it hears."""

    def __init__(self) -> None:
        self.requests: list[EndedRequest] = []
        self.taken: Counter[str] = Counter()
        self.given: Counter[str] = Counter()
        self.seconds = 0.0
        self.retries: list[RegistryError] = []

    def request_ended(self, request: EndedRequest) -> None:
        self.requests.append(request)

    def encoded(self, encoding: str, taken: int, given: int, seconds: float) -> None:
        self.taken[encoding] += taken
        self.given[encoding] += given
        self.seconds += seconds

    def tried_again(self, error: RegistryError) -> None:
        self.retries.append(error)


async def test_a_push_is_heard_of_request_by_request_and_byte_by_byte(tmp_path: Path) -> None:
    ears = Ears()
    archive = write_big_archive(tmp_path / "app.tar", [LARGE, SMALL])
    async with SpecRegistry() as registry, RegistryClient(observer=ears) as client:
        host = registry.url.removeprefix("http://")
        await client.push(archive.path, [parse_reference(f"{host}/app:1")])
        asked = Counter(method for method, _ in registry.requests.elements())
        stored = registry.repository("app").blobs
    assert Counter(one.method for one in ears.requests) == asked
    assert {one.status for one in ears.requests if one.method == "PUT"} == {201}
    assert all(one.url.origin() == one.registry.origin() for one in ears.requests)
    assert all(one.seconds > 0 for one in ears.requests)
    with tarfile.open(archive.path) as tar:
        layers = sum(
            tar.getmember(f"blobs/sha256/{diff_id.removeprefix('sha256:')}").size
            for diff_id in archive.diff_ids
        )
    sent = sum(len(blob) for blob in stored.values() if blob != archive.config)
    assert ears.taken == {"gzip": layers}
    # Header and trailer of each member of gzip are no blocks.
    assert ears.given == {"gzip": sent - 2 * 20}
    assert ears.seconds > 0


async def test_a_request_without_an_answer_has_no_status() -> None:
    ears = Ears()
    async with RegistryClient(observer=ears) as client:
        with pytest.raises(RegistryUnavailableError):
            await client.registry(f"127.0.0.1:{free_port()}").ping()
    assert [(one.method, one.status) for one in ears.requests] == [("GET", None)]


async def test_only_what_is_tried_again_is_heard_of_as_a_retry() -> None:
    ears = Ears()
    error = RegistryUnavailableError("away")

    async def ignore(_: RegistryError) -> None:
        return None

    async def fail() -> None:
        raise error

    with pytest.raises(RegistryUnavailableError):
        await Retrier(RetryPolicy(attempts=3, base=1e-9), ignore, ears).run(fail)
    assert ears.retries == [error, error]
