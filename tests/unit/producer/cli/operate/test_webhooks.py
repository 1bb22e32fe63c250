"""``webhooks``: who is told, whether it arrives, and a ping."""

import pytest

from producer import operator as module
from push_queue.models.job import make_job
from push_queue.webhook_outbox import WebhookOutbox
from tests.support.stores import Stores
from tests.support.webhooks import answer_pings, webhook
from tests.unit.producer.cli.conftest import CommandLine


async def register(stores: Stores) -> None:
    await WebhookOutbox(stores.database).register(
        "ci", webhook("https://ci.example.com", states=["failed", "cancelled"], backlog=2)
    )


async def cancel_three(stores: Stores) -> None:
    for job_id in "abc":
        job = make_job(id=job_id, source="/a.tar", targets=["localhost:5000/app:1"])
        await stores.jobs.create(job)
        await stores.jobs.cancel(job_id)


def test_without_any_there_are_none(cli: CommandLine) -> None:
    assert cli.run("webhooks").rows == []
    assert cli.run("webhooks", "--json").json == []


def test_one_that_is_well(cli: CommandLine) -> None:
    async def prepare(stores: Stores) -> None:
        await register(stores)
        await WebhookOutbox(stores.database).failed("ci", "500")
        await WebhookOutbox(stores.database).delivered("ci")

    cli.prepare(prepare)
    ((name, to, events, delivered, waiting, last, trouble),) = cli.run("webhooks").rows
    assert (name, to, events) == ("ci", "https://ci.example.com", "failed, cancelled")
    assert (delivered, waiting, trouble) == ("1", "0", "")
    assert last.endswith(" UTC")


def test_one_that_fails_says_why_and_what_is_lost(cli: CommandLine) -> None:
    async def prepare(stores: Stores) -> None:
        outbox = WebhookOutbox(stores.database)
        await register(stores)
        await cancel_three(stores)
        (first, *_), _ = await outbox.read("ci", limit=2)
        await outbox.given_up("ci", first.place, "https://ci.example.com: 500")

    cli.prepare(prepare)
    ((*_, waiting, last, trouble),) = cli.run("webhooks").rows
    assert waiting.startswith("1, since 2")
    assert (last, trouble) == (
        "",
        "https://ci.example.com: 500; 1 given up after a day; 1 dropped while it was away",
    )
    (found,) = cli.run("webhooks", "--json").json
    assert (found["name"], found["waiting"], found["given_up"], found["dropped"]) == ("ci", 1, 1, 1)
    assert "S3CRET" not in str(found)


def test_one_that_is_gone_says_so(cli: CommandLine) -> None:
    async def prepare(stores: Stores) -> None:
        await register(stores)
        await WebhookOutbox(stores.database).set_gone("ci", True)

    cli.prepare(prepare)
    ((*_, trouble),) = cli.run("webhooks").rows
    assert "410" in trouble


@pytest.mark.parametrize(
    ("failure", "code", "words"),
    [
        ("", 0, "webhook ci: the ping arrived"),
        ("https://ci.example.com: 500", 1, "webhook ci: https://ci.example.com: 500"),
    ],
)
def test_a_ping_and_its_answer(
    cli: CommandLine, failure: str, code: int, words: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    cli.prepare(register)
    answer_pings(monkeypatch, failure)
    done = cli.run("webhooks", "--test", "ci")
    assert done.code == code
    assert words in done.out + done.err


def test_a_ping_that_no_worker_sends(cli: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "PING_SECONDS", 0)
    cli.prepare(register)
    assert "no worker has sent the ping" in cli.fails("webhooks", "--test", "ci", code=4)


def test_a_receiver_that_is_not_known(cli: CommandLine) -> None:
    assert "workers know none" in cli.fails("webhooks", "--test", "ci")
    cli.prepare(register)
    assert "workers know ci" in cli.fails("webhooks", "--test", "ic")
