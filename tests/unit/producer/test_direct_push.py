"""A push without a queue: its attempts, how long it waits, and what it reports."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from producer import direct_push
from producer.direct_push import DirectPush
from producer.job_description import describe_push
from push_queue.models.job_status import JobState, JobStatus
from push_queue.settings import Settings, load_settings
from registry_api_v2_client import (
    BlobProgress,
    BlobState,
    DeniedError,
    DigestMismatchError,
    PushedImage,
    RegistryClient,
    RegistryError,
    RegistryUnavailableError,
    RetryPolicy,
    SourceFile,
    SourceUnavailableError,
)

DIGEST = f"sha256:{'a' * 64}"
ONE, TWO = "localhost:15000/app:1", "localhost:15001/app:1"

Step = Callable[..., Awaitable[None]]


class ScriptedClient:
    """A client each of whose pushes takes one of the steps; one beyond them goes well.

    ``tars`` are what each found in the tar.
    """

    def __init__(self, *steps: Step) -> None:
        self._steps = list(steps)
        self.targets: list[list[str]] = []
        self.tars: list[bytes] = []
        self.abandoned = False

    async def push(self, tar: SourceFile, references: Any, **options: Any) -> PushedImage:
        with tar.reader() as reader:
            self.tars.append(reader.read())
        targets = [str(reference) for reference in references]
        self.targets.append(targets)
        options["uploads"].add("session", self._abandon)
        if self._steps:
            await self._steps.pop(0)(targets=targets, **options)
        for target in targets:
            async with options["tag_order"].turn(target, DIGEST):
                pass
        options["uploads"].remove("session")
        return PushedImage(DIGEST, "application/json", ("left out: 1",))

    async def _abandon(self) -> None:
        self.abandoned = True


def fails(error: RegistryError, *, done: int = 0, tags: int = 0) -> Step:
    """Send that many bytes, write that many tags, then fail."""

    async def step(targets: list[str], **options: Any) -> None:
        if done:
            options["on_progress"](BlobProgress("app", DIGEST, 100, done, BlobState.UPLOADING))
        for target in targets[:tags]:
            async with options["tag_order"].turn(target, DIGEST):
                pass
        raise error

    return step


async def stands_still(**_: Any) -> None:
    await asyncio.Event().wait()


def away() -> RegistryUnavailableError:
    error = RegistryUnavailableError("localhost:15000 refuses connections")
    error.registry = "localhost:15000"
    return error


@pytest.fixture(autouse=True)
def no_waiting(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(direct_push, "RETURN", RetryPolicy(attempts=100, base=0.0))
    monkeypatch.setattr(direct_push, "SHOW_SECONDS", 0.0)


@pytest.fixture
def settings(monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PUSH_QUEUE_RETRY_BASE_SECONDS", "0.001")
    return load_settings()


@pytest.fixture(autouse=True)
def tar(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where `direct` pushes from."""
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "app.tar"
    path.write_bytes(b"a tar")
    return path


def direct(client: ScriptedClient, settings: Settings, **options: Any) -> DirectPush:
    job = describe_push(Path("app.tar").absolute(), [ONE, TWO], settings, **options)
    return DirectPush(cast("RegistryClient", client), job, settings)


async def statuses(push: DirectPush) -> AsyncIterator[JobStatus]:
    async with aclosing(push.watch()) as changes:
        async for status in changes:
            yield status


async def end(push: DirectPush) -> JobStatus:
    return [status async for status in statuses(push)][-1]


async def test_a_push_that_goes_well(settings: Settings) -> None:
    client = ScriptedClient()
    status = await end(direct(client, settings))
    assert (status.state, status.digest, status.attempt) == (JobState.SUCCEEDED, DIGEST, 1)
    assert [(result.target, result.digest) for result in status.results] == [
        (ONE, DIGEST),
        (TWO, DIGEST),
    ]
    assert status.notes == ("left out: 1",)
    assert status.finished_at
    assert client.targets == [[ONE, TWO]]
    assert not client.abandoned


@pytest.mark.parametrize("cache", [True, False])
async def test_without_a_cache_nothing_is_reused(
    cache: bool, settings: Settings, tar: Path
) -> None:
    seen: list[bool] = []

    async def note(**options: Any) -> None:
        seen.append(options["reuse_tagged"])

    job = describe_push(tar, [ONE], settings)
    client = cast("RegistryClient", ScriptedClient(note))
    await end(DirectPush(client, job, settings, reuse_tagged=cache))
    assert seen == [cache]


async def test_each_change_is_shown_however_short(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(direct_push, "SHOW_SECONDS", 60.0)
    client = ScriptedClient(fails(DigestMismatchError("not what was sent", status=201)))
    seen = [(status.state, status.attempt) async for status in statuses(direct(client, settings))]
    assert list(dict.fromkeys(seen)) == [
        (JobState.QUEUED, 0),
        (JobState.RUNNING, 1),
        (JobState.RETRYING, 1),
        (JobState.RUNNING, 2),
        (JobState.SUCCEEDED, 2),
    ]


async def test_only_what_failed_is_tried_again(settings: Settings) -> None:
    client = ScriptedClient(fails(DigestMismatchError("not what was sent", status=201), tags=1))
    status = await end(direct(client, settings))
    assert (status.state, status.attempt) == (JobState.SUCCEEDED, 2)
    assert client.targets == [[ONE, TWO], [TWO]]
    assert [result.target for result in status.results] == [ONE, TWO]


async def test_all_attempts_push_one_tar(settings: Settings, tar: Path) -> None:
    async def replace_it(**_: Any) -> None:
        other = tar.with_suffix(".new")
        other.write_bytes(b"another")
        other.rename(tar)
        raise away()

    client = ScriptedClient(replace_it)
    assert (await end(direct(client, settings))).state is JobState.SUCCEEDED
    assert client.tars == [b"a tar", b"a tar"]


async def test_a_tar_that_is_gone_fails_the_push(settings: Settings, tar: Path) -> None:
    tar.unlink()  # noqa: ASYNC240 - nothing else runs yet
    status = await end(direct(ScriptedClient(), settings))
    assert (status.state, status.attempt, status.error_kind) == (
        JobState.FAILED,
        1,
        "source_unreadable",
    )
    assert status.error == f"{tar} does not exist"


async def test_attempts_are_bounded(settings: Settings) -> None:
    client = ScriptedClient(*[fails(DigestMismatchError("not what was sent", status=201))] * 5)
    status = await end(direct(client, settings, max_attempts=3))
    assert (status.state, status.attempt) == (JobState.FAILED, 3)
    assert (status.error, status.error_kind) == ("not what was sent", "digest_mismatch")
    assert client.abandoned


async def test_what_no_retry_mends_fails_at_once(settings: Settings) -> None:
    status = await end(
        direct(ScriptedClient(fails(DeniedError("no push for you", status=403))), settings)
    )
    assert (status.state, status.attempt, status.error_kind) == (JobState.FAILED, 1, "denied")


@pytest.mark.parametrize("error", [away(), SourceUnavailableError("no answer")])
async def test_an_outage_uses_up_no_attempt(error: RegistryError, settings: Settings) -> None:
    """Of a registry, or of the server that has the tar."""
    client = ScriptedClient(*[fails(error)] * 9)
    seen = [status async for status in statuses(direct(client, settings, max_attempts=1))]
    assert (seen[-1].state, seen[-1].attempt) == (JobState.SUCCEEDED, 1)
    assert (seen[-1].error, seen[-1].error_kind) == (None, None), "as of a job in the queue"
    waiting = [status for status in seen if status.state is JobState.QUEUED and status.waiting_for]
    assert waiting
    assert all(status.give_up_at for status in waiting)


async def test_patience_runs_out(settings: Settings) -> None:
    client = ScriptedClient(*[fails(away(), done=7)] * 9)
    push = direct(client, settings, give_up_after=timedelta(seconds=1))
    push._patience = timedelta(0)
    status = await end(push)
    assert (status.state, status.error_kind) == (JobState.FAILED, "registry_unavailable")
    assert len(client.targets) == 1


async def test_only_progress_renews_patience(settings: Settings) -> None:
    client = ScriptedClient(
        fails(away(), done=10),
        fails(away(), done=10),
        fails(away(), done=20),
        fails(away(), done=5),
    )
    seen = [status async for status in statuses(direct(client, settings))]
    times = list(dict.fromkeys(status.give_up_at for status in seen if status.give_up_at))
    assert len(times) == 2


async def test_leaving_ends_the_push_and_its_uploads(settings: Settings) -> None:
    client = ScriptedClient(stands_still)
    async with aclosing(direct(client, settings).watch()) as changes:
        async for status in changes:
            if client.targets:
                assert status.state is JobState.RUNNING
                break
    assert client.abandoned


async def test_blobs_are_told_over_all_repositories(settings: Settings) -> None:
    async def send(**options: Any) -> None:
        tell = options["on_progress"]
        tell(BlobProgress("one", DIGEST, 100, 100, BlobState.UPLOADED))
        tell(BlobProgress("two", DIGEST, 100, 40, BlobState.UPLOADING))
        tell(BlobProgress("one", "sha256:b", 50, 50, BlobState.EXISTS))
        tell(BlobProgress("two", "sha256:b", 50, 50, BlobState.MOUNTED))

    push = direct(ScriptedClient(send), settings)
    status = await end(push)
    assert (status.bytes_done, status.bytes_total) == (150, 150)
    assert (status.blobs_done, status.blobs_total) == (1, 2)
    assert [(blob.digest, blob.how) for blob in await push.blobs("")] == [
        (DIGEST, ""),
        ("sha256:b", "exists"),
    ]
