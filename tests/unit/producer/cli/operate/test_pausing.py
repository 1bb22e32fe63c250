"""``pause``, ``resume``, ``drain`` and ``registries pause``: what they do and say."""

import pytest

from push_queue.models.fleet import WorkerInfo
from push_queue.models.job import make_job
from push_queue.worker_roster import WorkerRoster
from tests.support.stores import Stores
from tests.unit.producer.cli.conftest import CommandLine
from tests.unit.producer.cli.operate.test_looking import WORKER

HOST = "reg.example.com:5000"


def report(cli: CommandLine, *workers: WorkerInfo) -> None:
    async def work(stores: Stores) -> None:
        for worker in workers:
            await WorkerRoster(stores.database).report(worker, 60)

    cli.prepare(work)


def enqueue(cli: CommandLine) -> None:
    async def work(stores: Stores) -> None:
        await stores.jobs.create(make_job(id="a", source="/a", targets=[f"{HOST}/app:1"]))

    cli.prepare(work)


def test_the_queue_is_paused_until_it_is_resumed(cli: CommandLine) -> None:
    done = cli.run("pause", "--reason", "새 디스크")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith("the queue is paused since 2")
    assert done.out.endswith(": 새 디스크\n")
    assert "Queue       is paused since" in cli.run("stats").out
    assert cli.run("resume").out == "the queue is not paused\n"
    assert cli.run("stats", "--json").json["pause"] is None


def test_json_has_the_pause(cli: CommandLine) -> None:
    pause = cli.run("pause", "--for", "30m", "--json").json["pause"]
    assert pause["until"] > pause["since"]
    assert (pause["reason"], pause["by"]) == (None, None)
    assert cli.run("resume", "--json").json == {"pause": None}


def test_whoever_looks_at_waiting_jobs_is_told(cli: CommandLine) -> None:
    enqueue(cli)
    cli.run("pause", "--reason", "새 디스크")
    for command in (("list",), ("status", "a"), ("status", "a", "a", "--json")):
        (line,) = cli.run(*command).err.splitlines()
        assert line.startswith("push-queue: warning: the queue is paused since ")
        assert line.endswith(": 새 디스크; jobs wait until `push-queue resume`")
    cli.run("cancel", "a")
    for command in (("list",), ("status", "a")):
        assert cli.run(*command).err == ""


def test_workers_that_do_not_heed_it_are_named(cli: CommandLine) -> None:
    report(cli, WORKER, WORKER.model_copy(update={"id": "new", "heeds": True}))
    done = cli.run("pause")
    assert (
        done.err == f"push-queue: warning: worker {WORKER.id} of release 1.2 goes on taking jobs\n"
    )
    states = {row[0]: row[1] for row in cli.run("workers").rows}
    assert states == {WORKER.id: "working", "new": "paused"}


def test_a_registry_is_paused_until_it_is_resumed(cli: CommandLine) -> None:
    done = cli.run("registries", "pause", HOST, "--for", "2h", "--reason", "수리 중")
    assert (done.code, done.err) == (0, "")
    assert done.out.startswith(f"{HOST} is paused until 2")
    ((name, uploads, waiting, paused),) = cli.run("registries").rows
    assert (name, uploads, waiting) == (HOST, "0 of 50", "0")
    assert f"{name} {paused}\n" == done.out
    assert cli.run("registries", "resume", HOST).out == f"{HOST} is not paused\n"
    assert cli.run("registries").rows == []


def test_a_worker_is_drained(cli: CommandLine) -> None:
    report(cli, WORKER.model_copy(update={"heeds": True}))
    done = cli.run("drain", WORKER.id, WORKER.id)
    assert (done.code, done.out) == (0, f"{WORKER.id} draining: 1 job left\n")
    ((_, state, *_),) = cli.run("workers").rows
    assert state == "draining"
    (worker,) = cli.run("drain", WORKER.id, "--json").json
    assert worker["state"] == "draining"
    late = cli.run("drain", WORKER.id, "--wait", "--timeout", "1s")
    assert late.code == 4
    assert "the workers stop once their jobs are done" in late.err


def test_a_worker_that_is_gone_is_not_waited_for(cli: CommandLine) -> None:
    assert cli.fails("drain", "nobody", "--wait").startswith("no worker 'nobody' is alive")
    report(cli, WORKER)
    assert cli.fails("drain", WORKER.id).endswith("cannot be drained; end it by SIGTERM")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("pause", "--for", "soon"), "--for 'soon' is not a time such as"),
        (("pause", "--for", "0"), "--for '0' is not between 1s and 365d"),
        (("pause", "--for", "366d"), "--for '366d' is not between"),
        (("pause", "--reason", "x" * 201), "--reason is too long"),
        (("registries", "pause", "a b"), "'a b' is no host of a registry, such as reg.example.com"),
        (("registries", "pause", "registry"), "'registry' is no host of a registry"),
        (("registries", "pause", HOST, "--for", "soon"), "--for 'soon'"),
        (("registries", "pause"), "Missing argument 'HOST'"),
        (("registries", "stop", HOST), "No such command 'stop'"),
        (("registries", "resume", "*"), "'*' is no host"),
        (("drain",), "Missing argument 'WORKER'"),
        (("drain", "a", "--timeout", "1s"), "--timeout goes with --wait"),
    ],
)
def test_bad_input_is_said_in_one_line(
    cli: CommandLine, arguments: tuple[str, ...], said: str
) -> None:
    assert cli.fails(*arguments).startswith(said)
