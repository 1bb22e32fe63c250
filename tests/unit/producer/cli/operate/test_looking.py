"""``workers``, ``registries`` and ``stats``: what they show, as a table and as JSON."""

import io
from datetime import UTC, datetime

import pytest
from rich.console import Console

from producer.cli import tables
from push_queue.models.assignments import Assignment
from push_queue.models.fleet import WorkerInfo
from push_queue.models.job import make_job
from push_queue.worker_roster import WorkerRoster
from tests.support.stores import Stores
from tests.unit.producer.cli.conftest import CommandLine

WORKER = WorkerInfo(
    id="빌더-7-ab12",
    host="빌더",
    pid=7,
    version="1.2",
    started_at=datetime(2026, 1, 31, 9, 30, tzinfo=UTC),
    running=1,
    jobs=("a",),
    problem="lost jobs: is out of memory",
)
REGISTRY = "reg.example.com:5000"


async def report(stores: Stores) -> None:
    await WorkerRoster(stores.database).report(WORKER, 60)


async def begin(stores: Stores, job_id: str) -> Assignment:
    job = make_job(id=job_id, source="/a.tar", targets=[f"{REGISTRY}/팀/app:1"])
    await stores.jobs.create(job)
    assignment = await stores.attempts.start(job_id, 0, WORKER.id)
    assert isinstance(assignment, Assignment)
    return assignment


def test_workers_are_listed(cli: CommandLine) -> None:
    assert cli.run("workers").rows == []
    cli.prepare(report)
    assert cli.run("workers").rows == [
        [WORKER.id, "working", "1", "1.2", "빌더", "7", "2026-01-31 09:30:00 UTC", WORKER.problem]
    ]
    (worker,) = cli.run("workers", "--json").json
    assert (worker["id"], worker["jobs"], worker["pid"]) == (WORKER.id, ["a"], 7)


@pytest.mark.parametrize("width", [20, 40, 80, 200])
def test_a_narrow_terminal_keeps_the_ids_whole(
    cli: CommandLine, width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.prepare(report)
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr(tables, "Console", lambda: terminal)
    assert cli.run("workers").code == 0
    assert WORKER.id in screen.getvalue()
    assert ("TROUBLE" in screen.getvalue()) is (width >= 80)


def test_registries_show_uploads_waiting_jobs_and_pauses(cli: CommandLine) -> None:
    async def prepare(stores: Stores) -> None:
        await begin(stores, "a")
        await stores.limits.take_slot(REGISTRY, "token", 60)
        await stores.limits.pause(REGISTRY, "is\nfull", 60)

    cli.prepare(prepare)
    ((name, uploads, waiting, paused),) = cli.run("registries").rows
    assert (name, uploads, waiting) == (REGISTRY, "1 of 50", "0")
    assert paused.startswith("waits until 2")
    assert paused.endswith(": is full")
    (registry,) = cli.run("registries", "--json").json
    assert (registry["name"], registry["pause_reason"]) == (REGISTRY, "is full")


def test_stats_count_jobs_and_what_the_last_hour_brought(cli: CommandLine) -> None:
    async def prepare(stores: Stores) -> None:
        for job_id, kind in (("a", "denied"), ("b", "denied"), ("c", "rate_limited")):
            await stores.attempts.fail(await begin(stores, job_id), "no", kind)
        done = await begin(stores, "d")
        await stores.attempts.progress(
            done, bytes_done=9, bytes_total=9, blobs_done=1, blobs_total=1,
            bytes_sent=4_000, bytes_saved=3_000,
        )  # fmt: skip
        await stores.attempts.fail(done, "no", "internal")
        await stores.queue.take(10, 60)
        await stores.jobs.create(make_job(id="e", source="/a", targets=["h/a:1"]))

    cli.prepare(prepare)
    shown = cli.run("stats").out
    for line in ("4 failed", "1 queued", "2 denied", "1 rate_limited", "4.0 kB, 0 bytes saved"):
        assert line in shown
    assert "1 for a worker, the first one for " in shown
    found = cli.run("stats", "--json").json
    assert (found["jobs"]["failed"], found["due"]) == (4, 1)
    assert found["last_hour"]["failures"] == {"denied": 2, "internal": 1, "rate_limited": 1}


def test_an_empty_queue_has_no_job_that_waits(cli: CommandLine) -> None:
    assert "no job waits for a worker" in cli.run("stats").out
    assert cli.run("stats", "--json").json["oldest_due_seconds"] is None


@pytest.mark.parametrize(
    "command",
    [
        ("workers",),
        ("stats",),
        ("pause",),
        ("registries", "resume", REGISTRY),
        ("cancel", "--label", "team", "--yes"),
        ("purge", "--state", "failed", "--yes"),
    ],
)
def test_of_several_redis_servers_one_has_to_be_named(
    cli: CommandLine, command: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the others would be left out, and nobody would notice."""
    monkeypatch.setenv("PUSH_QUEUE_REDIS_ROUTES", '{"other.example.com/*": "redis://other"}')
    said = cli.fails(*command)
    assert said.startswith("PUSH_QUEUE_REDIS_ROUTES names several Redis servers")
    assert cli.run("--redis-url", "redis://fake", *command).code == 0
