"""``purge``: what it asks, does and says."""

import os
import time
from pathlib import Path

import pytest

from producer.spool.purge import UNTOUCHED_SECONDS
from producer.spool.spool import Spool
from push_queue.models.assignments import Assignment
from push_queue.models.job import make_job
from push_queue.models.uploads import source_of
from push_queue.settings import Settings
from push_queue.webhook_outbox import WebhookOutbox
from tests.support.stores import Stores
from tests.support.webhooks import webhook
from tests.unit.producer.cli.conftest import CommandLine

HOST = "reg.example.com:5000"


@pytest.fixture
def settings(settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("PUSH_QUEUE_SPOOL", str(tmp_path / "spool"))
    return settings


def fail(cli: CommandLine, *job_ids: str) -> None:
    async def work(stores: Stores) -> None:
        for job_id in job_ids:
            job = make_job(
                id=job_id, source="/이미지.tar", targets=[f"{HOST}/a:1"], labels={"팀": job_id}
            )
            await stores.jobs.create(job)
            assignment = await stores.attempts.start(job_id, 0, "worker")
            assert isinstance(assignment, Assignment)
            await stores.attempts.fail(assignment, "no", "denied")

    cli.prepare(work)


def listed(cli: CommandLine) -> list[str]:
    return [job["id"] for job in cli.run("list", "--json").json]


def test_finished_jobs_that_match_are_forgotten(cli: CommandLine) -> None:
    fail(cli, "a", "b", "c")
    cli.run("retry", "c")
    dry = cli.run("purge", "--registry", HOST, "--dry-run")
    assert dry.err == "push-queue: 2 jobs would be forgotten\n"
    assert listed(cli) == ["c", "b", "a"]
    done = cli.run("purge", "--label", "팀=a", "--yes")
    assert (done.code, done.err) == (0, "push-queue: 1 job forgotten\n")
    assert done.out == "a failed: no (denied)\n"
    assert listed(cli) == ["c", "b"]
    assert [job["id"] for job in cli.run("purge", "--since", "1h", "--yes", "--json").json] == ["b"]
    assert listed(cli) == ["c"]


def test_knowledge_of_a_registry_is_forgotten(cli: CommandLine) -> None:
    async def know(stores: Stores) -> None:
        await stores.database.ask(stores.database.redis.set(f"push:blob:{HOST}:sha256:1", "1"))

    cli.prepare(know)
    words = "places of 1 blob and 0 interrupted uploads"
    dry = cli.run("purge", "--registry-knowledge", HOST, "--dry-run")
    assert (dry.code, dry.out, dry.err) == (0, "", f"push-queue: {words} would be deleted\n")
    done = cli.run("purge", "--registry-knowledge", HOST, "--yes", "--json")
    assert done.json == {"blobs": 1, "uploads": 0}
    again = cli.run("purge", "--registry-knowledge", HOST, "--yes", "--json")
    assert again.json == {"blobs": 0, "uploads": 0}


def upload(spool: Spool, *, old: bool) -> str:
    found = spool.create(None, 5)
    spool.part_path(found.id).write_bytes(b"12345")
    if old:
        long_ago = time.time() - UNTOUCHED_SECONDS - 1
        os.utime(spool.record_path(found.id), (long_ago, long_ago))
    return found.id


def test_uploads_that_nobody_needs_are_deleted(cli: CommandLine, tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool", quota=10**9, keep_free=0, keep_seconds=3600)
    spool.prepare()
    unneeded, needed = upload(spool, old=True), upload(spool, old=True)
    new = upload(spool, old=False)

    async def enqueue(stores: Stores) -> None:
        job = make_job(id="a", source=source_of(needed), targets=[f"{HOST}/a:1"])
        await stores.jobs.create(job)

    cli.prepare(enqueue)
    dry = cli.run("purge", "--uploads", "--dry-run")
    assert dry.err == "push-queue: 1 upload (5 bytes) would be deleted\n"
    assert set(spool.ids()) == {unneeded, needed, new}
    assert cli.run("purge", "--uploads", "--yes", "--json").json == {"uploads": 1, "bytes": 5}
    assert set(spool.ids()) == {needed, new}


def test_without_a_spool_there_are_no_uploads(
    cli: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("PUSH_QUEUE_SPOOL")
    assert cli.fails("purge", "--uploads", "--yes").startswith("there is no spool here: set")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say one thing to forget: jobs, by --state,"),
        (("--yes",), "say one thing to forget"),
        (("--uploads", "--state", "failed"), "say one thing to forget"),
        (("--uploads", "--registry-knowledge", HOST), "say one thing to forget"),
        (("--state", "running", "--yes"), "state: a job that is running stays so"),
        (("--registry-knowledge", "*", "--yes"), "'*' is no host of a registry"),
        (("--registry-knowledge", "", "--yes"), "'' is no host of a registry"),
        (("--registry-knowledge", HOST), "purge may delete much: add --yes"),
        (("--uploads",), "purge may delete much: add --yes"),
        (("--state", "failed"), "purge with a filter may change many jobs: add --yes"),
    ],
)
def test_what_cannot_be_meant_forgets_nothing(
    cli: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    fail(cli, "a")
    assert cli.fails("purge", *arguments).startswith(said)
    assert listed(cli) == ["a"]


def test_a_receiver_of_webhooks_that_no_worker_has_is_forgotten(cli: CommandLine) -> None:
    async def prepare(stores: Stores) -> None:
        await WebhookOutbox(stores.database).register("ci", webhook())
        await stores.jobs.create(make_job(id="a", source="/a.tar", targets=[f"{HOST}/a:1"]))
        await stores.jobs.cancel("a")

    async def check(stores: Stores) -> None:
        assert await stores.database.redis.keys("push:webhook:*") == []

    cli.prepare(prepare)
    assert "workers know ci" in cli.fails("purge", "--webhook", "ic", "--yes")
    words = "a receiver and 1 event that it does not have"
    dry = cli.run("purge", "--webhook", "ci", "--dry-run")
    assert (dry.code, dry.err) == (0, f"push-queue: {words} would be deleted\n")
    assert cli.run("purge", "--webhook", "ci", "--yes", "--json").json == {"events": 1}
    cli.prepare(check)
    assert cli.run("webhooks", "--json").json == []
    assert cli.fails("purge", "--webhook", "ci", "--uploads").startswith("say one thing to forget")
