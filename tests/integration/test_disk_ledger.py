"""One-shot pushes send nothing twice: their ledger outlives them, and cannot make one fail.

Each push is a process of its own, as on a command line.
"""

import asyncio
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from registry_api_v2_client import BlobInfo, DiskLedger, MemoryLedger
from registry_api_v2_client.push.engine import ImagePusher
from registry_api_v2_client.push.ledger_file import LedgerFile, ledger_path
from tests.support.big_images import BigArchive
from tests.support.images import ARCHIVES, sha256_digest
from tests.support.proxy import FaultProxy, Request, is_manifest_put, is_patch
from tests.support.pushes import FEW_AND_FAST, push
from tests.support.servers import Registry, clean_environment
from tests.support.skopeo import (
    raw_manifest,
    skopeo_copy_to_dir,
    skopeo_push_archive,
)
from tests.support.spec_registry import SpecRegistry

pytestmark = pytest.mark.integration

BLOB = BlobInfo("sha256:bb", 7, "application/x")


@dataclass(frozen=True)
class Ended:
    """A push that has ended."""

    code: int
    output: str
    errors: str

    @property
    def digest(self) -> str:
        assert self.code == 0, self.errors
        return self.output.strip()

    @property
    def notes(self) -> list[str]:
        return [line for line in self.errors.splitlines() if "note:" in line]


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """The folder of the ledger."""
    return tmp_path / "cache" / "push-queue"


Push = Callable[..., Any]


@pytest.fixture
def start(cache: Path, tmp_path: Path) -> Push:
    """Start `push-queue push`, without a Redis, with that cache."""

    async def start(tar: Path, target: str, *options: str, uploads: int = 3, **more: Any) -> Any:
        settings = {"XDG_CACHE_HOME": str(cache.parent), "PUSH_QUEUE_JOB_UPLOADS": str(uploads)}
        return await asyncio.create_subprocess_exec(
            sys.executable, "-m", "producer", "push", tar, "--to", target, *options,
            cwd=tmp_path,
            env=clean_environment(**settings),
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.PIPE,
            **more,
        )  # fmt: skip

    return start


@pytest.fixture
def cli(start: Push) -> Callable[..., Any]:
    """The same, until it has ended."""

    async def run(*arguments: Any, **more: Any) -> Ended:
        async with asyncio.timeout(90):
            process = await start(*arguments, **more)
            output, errors = await process.communicate()
        return Ended(process.returncode, output.decode(), errors.decode())

    return run


def is_upload(request: Request) -> bool:
    return request.method in ("PATCH", "PUT") and "/blobs/uploads/" in request.path


def is_there(folder: Path) -> bool:
    return folder.exists()


async def read_back(reference: str, folder: Path) -> list[str]:
    image = await asyncio.to_thread(skopeo_copy_to_dir, reference, folder)
    return [sha256_digest(content) for content in image.contents]


async def test_the_same_image_again_sends_nothing(
    cli: Push, proxy: FaultProxy, repository: str, big: BigArchive
) -> None:
    target = f"{proxy.host}/{repository}:1"
    first = (await cli(big.path, target)).digest
    asked, sent = len(proxy.requests), proxy.bytes_sent()
    again = await cli(big.path, target)
    assert (again.digest, again.notes) == (first, [])
    assert proxy.bytes_sent() == sent
    assert [request.method for request in proxy.requests[asked:]] == ["HEAD", "GET"]


async def test_layers_that_went_elsewhere_are_not_sent_again(
    cli: Push, proxy: FaultProxy, repository: str, big: BigArchive
) -> None:
    first = (await cli(big.path, f"{proxy.host}/{repository}:1")).digest
    uploads = proxy.count(is_upload)
    for target in (f"{repository}:2", f"{repository}-copy:1"):
        assert (await cli(big.path, f"{proxy.host}/{target}")).digest == first
    assert proxy.count(is_upload) == uploads
    assert any("mount=" in request.target for request in proxy.requests)


@pytest.mark.parametrize("option", ["", "--no-cache"])
async def test_without_the_cache_the_tag_tells(
    option: str, cli: Push, proxy: FaultProxy, repository: str, big: BigArchive, cache: Path
) -> None:
    target = f"{proxy.host}/{repository}:1"
    first = (await cli(big.path, target)).digest
    uploads = proxy.count(is_patch)
    shutil.rmtree(cache)
    assert (await cli(big.path, target, *filter(None, [option]))).digest == first
    assert proxy.count(is_patch) - uploads == (2 if option else 0)
    assert is_there(cache) is not bool(option)


def empty(folder: Path) -> None:
    """Delete all that the one registry of this test has stored."""
    (storage,) = folder.glob("registry-*/storage")
    shutil.rmtree(storage)


@pytest.mark.parametrize("knows", [True, False])
async def test_a_registry_that_was_emptied_gets_all(
    knows: bool, cli: Push, start_registry: Callable[[], Registry], tmp_path: Path, cache: Path,
    big: BigArchive
) -> None:  # fmt: skip
    registry = start_registry()
    target = f"{registry.host}/app:1"
    first = (await cli(big.path, target)).digest
    empty(tmp_path)
    if not knows:
        shutil.rmtree(cache)
    assert (await cli(big.path, target)).digest == first
    assert await read_back(target, tmp_path / "back") == big.diff_ids


def lose_the_largest_blob(folder: Path) -> None:
    blobs = folder.glob("registry-*/storage/**/data")
    shutil.rmtree(max(blobs, key=lambda data: data.stat().st_size).parent)


async def test_a_blob_that_the_registry_lost_is_sent_without_a_cache(
    cli: Push, start_registry: Callable[[], Registry], tmp_path: Path, big: BigArchive
) -> None:
    """The manifest is there, and a registry accepts none without its blobs, so it is trusted."""
    target = f"{start_registry().host}/app:1"
    first = (await cli(big.path, target)).digest
    lose_the_largest_blob(tmp_path)
    assert (await cli(big.path, target, "--no-cache")).digest == first
    assert await read_back(target, tmp_path / "back") == big.diff_ids


@pytest.mark.parametrize("knows", [True, False])
async def test_a_tag_that_somebody_else_has_overwritten_is_ours_again(
    knows: bool, cli: Push, proxy: FaultProxy, shared_registry: Registry, repository: str,
    tmp_path: Path, cache: Path, big: BigArchive
) -> None:  # fmt: skip
    target, reference = (f"{host}/{repository}:1" for host in (proxy.host, shared_registry.host))
    first = (await cli(big.path, target)).digest
    other = ARCHIVES["docker-legacy"](tmp_path).path
    await asyncio.to_thread(skopeo_push_archive, other, reference, transport="docker-archive")
    if not knows:
        shutil.rmtree(cache)
    uploads = proxy.count(is_patch)
    assert (await cli(big.path, target)).digest == first
    assert proxy.count(is_patch) - uploads == (0 if knows else 2)
    assert sha256_digest(await asyncio.to_thread(raw_manifest, reference)) == first


async def test_a_damaged_tar_is_not_pushed_where_its_layers_are_not_yet(
    cli: Push, start_registry: Callable[[], Registry], big: BigArchive
) -> None:
    good, empty = start_registry(), start_registry()
    await cli(big.path, f"{good.host}/app:1")
    content = bytearray(big.path.read_bytes())
    content[1_000_000] ^= 1
    big.path.write_bytes(content)
    ended = await cli(big.path, f"{empty.host}/app:1")
    assert "(archive_digest_mismatch)" in ended.errors
    assert ended.code == 2


async def test_two_pushes_of_the_same_tar_at_once(
    cli: Push, proxy: FaultProxy, shared_registry: Registry, repository: str,
    tmp_path: Path, big: BigArchive
) -> None:  # fmt: skip
    target = f"{proxy.host}/{repository}:1"
    # Neither ends its first layer before both have begun one.
    holds = [proxy.hold(is_patch, after=10_000) for _ in range(2)]
    pushes = [asyncio.create_task(cli(big.path, target, uploads=1)) for _ in range(2)]
    for hold in holds:
        await hold.reached.wait()
    for hold in holds:
        hold.release()
    one, other = await asyncio.gather(*pushes)
    assert one.digest == other.digest
    assert [*one.notes, *other.notes] == []
    sent = proxy.bytes_sent()
    assert (await cli(big.path, target)).digest == one.digest
    assert proxy.bytes_sent() == sent
    reference = f"{shared_registry.host}/{repository}:1"
    assert await read_back(reference, tmp_path / "back") == big.diff_ids


@pytest.mark.parametrize("stage", [is_patch, is_manifest_put])
async def test_a_push_that_was_killed_leaves_a_cache_that_works(
    stage: Callable[[Request], bool], start: Push, cli: Push, proxy: FaultProxy, repository: str,
    big: BigArchive
) -> None:  # fmt: skip
    target = f"{proxy.host}/{repository}:1"
    hold = proxy.hold(stage)
    process = await start(big.path, target)
    await hold.reached.wait()
    process.kill()
    await process.communicate()
    hold.release()
    uploads = proxy.count(is_upload)
    ended = await cli(big.path, target)
    assert ended.digest
    assert ended.notes == []
    if stage is is_manifest_put:
        assert proxy.count(is_upload) == uploads


# A cache that cannot be used


def locked(folder: Path) -> Callable[[], None]:
    """Lock the file from another process, until the returned function is called."""
    LedgerFile(folder).close()
    holder = LedgerFile(folder)
    holder._connection.execute("BEGIN IMMEDIATE")
    return holder.close


def corrupt(folder: Path) -> Callable[[], None]:
    LedgerFile(folder).close()
    ledger_path(folder).write_bytes(b"no database" * 1000)
    return lambda: None


def not_to_be_made(folder: Path) -> Callable[[], None]:
    folder.parent.mkdir()
    folder.parent.joinpath(folder.name).touch()
    return lambda: None


@pytest.mark.parametrize("spoil", [locked, corrupt, not_to_be_made])
async def test_a_cache_that_cannot_be_used_fails_no_push(
    spoil: Callable[[Path], Callable[[], None]], cli: Push, registry_host: str, repository: str,
    cache: Path, big: BigArchive
) -> None:  # fmt: skip
    restore = spoil(cache)
    ended = await cli(big.path, f"{registry_host}/{repository}:1")
    restore()
    assert ended.digest
    (note,) = ended.notes
    assert str(cache) in note


async def test_a_disk_that_is_full_fails_no_push(
    cli: Push, registry_host: str, repository: str, big: BigArchive
) -> None:
    def full() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, 8192))

    ended = await cli(big.path, f"{registry_host}/{repository}:1", "--json", preexec_fn=full)
    assert ended.code == 0
    (note,) = json.loads(ended.output)["notes"]
    assert "are not used" in note


# The library


async def test_the_library_has_it_as_an_option(tmp_path: Path, big: BigArchive) -> None:
    async with SpecRegistry() as registry:
        pushed = []
        for _ in range(2):
            async with DiskLedger(tmp_path / "ledger") as ledger:
                pusher = ImagePusher(ledger=ledger, retry=FEW_AND_FAST)
                pushed.append(await push(pusher, big.path, f"{registry.url}/app"))
                pusher.close()
        assert pushed[0] == pushed[1]
        assert registry.requests["POST", "/v2/app/blobs/uploads/"] == 3


async def test_a_blob_that_the_registry_has_not_is_forgotten(big: BigArchive) -> None:
    class Noting(MemoryLedger):
        async def forget_repository(self, registry: str, repository: str, digest: str) -> None:
            forgotten.add((repository, digest))
            await super().forget_repository(registry, repository, digest)

    forgotten: set[tuple[str, str]] = set()
    async with SpecRegistry() as registry:
        pusher = ImagePusher(ledger=Noting(), retry=FEW_AND_FAST)
        await push(pusher, big.path, f"{registry.url}/app")
        lost = set(registry.repositories.pop("app").blobs)
        await push(pusher, big.path, f"{registry.url}/app")
        pusher.close()
    assert forgotten == {("app", digest) for digest in lost}


# Several processes at one file


WRITER = """
import sys
from pathlib import Path
from registry_api_v2_client import BlobInfo
from registry_api_v2_client.push import ledger_file
from registry_api_v2_client.push.ledger_file import LedgerFile
folder, name = Path(sys.argv[1]), sys.argv[2]
ledger_file._LOCKED_SECONDS = 60.0
sys.stdin.readline()
file = LedgerFile(folder)
for number in range(50):
    file.remember_encoded(f"{name}{number}", BlobInfo("sha256:bb", 7, "application/x"))
    file.remember_repository("host", name, f"{number}")
    assert file.encoded(f"{name}{number}")
"""

MAKER = """
import sys
from pathlib import Path
from registry_api_v2_client.push import ledger_file
from registry_api_v2_client.push.ledger_file import LedgerFile
ledger_file._LOCKED_SECONDS = 60.0
for folder in sys.stdin:
    LedgerFile(Path(folder.strip())).close()
    print("made", flush=True)
"""

KILLED = """
import sys
from pathlib import Path
from registry_api_v2_client import BlobInfo
from registry_api_v2_client.push.ledger_file import LedgerFile
file = LedgerFile(Path(sys.argv[1]))
file.remember_encoded("whole", BlobInfo("sha256:bb", 7, "application/x"))
file._connection.execute("PRAGMA cache_size = 1")
file._connection.execute("BEGIN IMMEDIATE")
for number in range(2000):
    file.remember_encoded(f"half {number}", BlobInfo("sha256:bb", 7, "application/x"))
print("written", flush=True)
sys.stdin.readline()
"""


def run_script(script: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", script, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=clean_environment(),
    )


def test_several_processes_may_make_it_at_the_same_moment(tmp_path: Path) -> None:
    makers = [run_script(MAKER, tmp_path) for _ in range(4)]
    for number in range(50):
        for maker in makers:
            assert maker.stdin
            maker.stdin.write(f"{tmp_path / str(number)}\n")
            maker.stdin.flush()
        for maker in makers:
            assert maker.stdout
            assert maker.stdout.readline() == "made\n"
    for maker in makers:
        _, errors = maker.communicate(timeout=60)
        assert maker.returncode == 0, errors


def test_several_processes_make_and_use_it_at_once(tmp_path: Path) -> None:
    writers = {name: run_script(WRITER, tmp_path, name) for name in "abcd"}
    for writer in writers.values():
        assert writer.stdin
        writer.stdin.write("go\n")
        writer.stdin.flush()
    for writer in writers.values():
        _, errors = writer.communicate(timeout=60)
        assert writer.returncode == 0, errors
    with closing(LedgerFile(tmp_path)) as file:
        assert all(file.encoded(f"{name}{number}") for name in writers for number in range(50))


def test_a_process_killed_in_mid_write_leaves_a_file_that_works(tmp_path: Path) -> None:
    with run_script(KILLED, tmp_path) as writer:
        assert writer.stdout
        assert writer.stdout.readline() == "written\n"
        writer.kill()
    with closing(LedgerFile(tmp_path)) as file:
        assert file.encoded("whole") == BLOB
        assert file.encoded("half 0") is None
        file.remember_encoded("after", BLOB)
        assert file.encoded("after") == BLOB
