"""What ``--json`` writes for one job and for several is what its help says."""

import pytest

from push_queue.models.job import make_job
from tests.support.stores import Stores
from tests.unit.producer.cli.conftest import CommandLine

TARGET = "localhost:15000/app:1"
BY_IDS = "an object if one ID is named, else an array"


def help_of(cli: CommandLine, command: str) -> str:
    return " ".join(cli.run(command, "--help").out.split())


@pytest.fixture
def jobs(cli: CommandLine) -> CommandLine:
    """Two jobs that are finished, so that all can be done with them."""

    async def create(stores: Stores) -> None:
        for job_id in ("a", "b"):
            await stores.jobs.create(make_job(id=job_id, source="/app.tar", targets=[TARGET]))
            await stores.jobs.cancel(job_id)

    cli.prepare(create)
    return cli


@pytest.mark.parametrize("command", ["status", "cancel", "retry"])
def test_named_jobs_are_an_object_or_an_array(command: str, jobs: CommandLine) -> None:
    assert jobs.run(command, "a", "--json").json["id"] == "a"
    assert [job["id"] for job in jobs.run(command, "a", "b", "--json").json] == ["a", "b"]
    assert BY_IDS in help_of(jobs, command)


def test_one_of_several_that_is_there_is_in_an_array(jobs: CommandLine) -> None:
    done = jobs.run("status", "a", "no-such-job", "--json")
    assert ([job["id"] for job in done.json], done.code) == (["a"], 2)


def test_jobs_that_are_enqueued_or_listed_are_an_array(cli: CommandLine) -> None:
    order = ("enqueue", "/app.tar", "--remote-path", "--to", TARGET, "--id", "a", "--json")
    for command in (order, ("list", "--json")):
        assert [job["id"] for job in cli.run(*command).json] == ["a"]
        assert "Write a JSON array" in help_of(cli, command[0])
