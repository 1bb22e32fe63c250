"""Webhooks by real workers: what arrives, whatever the receiver does, and who waits for it."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web

from producer import JobState, PushQueue, load_settings
from push_queue.webhook_outbox import WebhookOutbox
from tests.support.api_server import ApiServer
from tests.support.certificates import Authority
from tests.support.hook_receiver import (
    Answer,
    Event,
    HookReceiver,
    answer_with,
    close_at_once,
    close_in_the_middle,
    hang,
    take,
)
from tests.support.local_server import LocalServer
from tests.support.servers import StartWorker, clean_environment
from tests.support.waiting import becomes
from tests.support.webhooks import KEY, PATH, SECRET, setting, webhook
from worker.webhooks.delivery import Delivery, NotDeliveredError
from worker.webhooks.signature import signed_headers

pytestmark = pytest.mark.integration

FAST = {"PUSH_QUEUE_RETRY_BASE_SECONDS": "0.05", "PUSH_QUEUE_RETRY_MAX_SECONDS": "0.2"}
NOWHERE = "127.0.0.1:1/app:1"


@pytest.fixture
async def receiver() -> AsyncIterator[HookReceiver]:
    async with HookReceiver() as receiver:
        yield receiver


@pytest.fixture
async def other() -> AsyncIterator[HookReceiver]:
    async with HookReceiver() as receiver:
        yield receiver


@pytest.fixture
def outbox(queue: PushQueue) -> WebhookOutbox:
    return WebhookOutbox(queue.database)


async def fail_job(queue: PushQueue, job_id: str) -> None:
    """A job that ends soon: its tar does not exist."""
    await queue.enqueue("/no/such.tar", NOWHERE, job_id=job_id)
    assert (await queue.wait(job_id, timeout=60)).state is JobState.FAILED


async def nothing_waits(outbox: WebhookOutbox) -> None:
    async def holds() -> bool:
        return not any(status.waiting for status in await outbox.statuses())

    await becomes(holds)


async def test_every_end_is_told_signed_and_without_secrets(
    queue: PushQueue,
    outbox: WebhookOutbox,
    worker: StartWorker,
    receiver: HookReceiver,
    other: HookReceiver,
    tar: Path,
    registry_host: str,
    repository: str,
) -> None:
    hooks = setting(ci={"url": receiver.url}, failures={"url": other.url, "states": ["failed"]})
    process = worker(PUSH_QUEUE_WEBHOOKS=hooks, **FAST)
    target = f"{registry_host}/{repository}:1"
    done = await queue.enqueue(tar, target, job_id="done", labels={"team": "웹"})
    assert (await queue.wait(done.id, timeout=60)).state is JobState.SUCCEEDED
    await fail_job(queue, "lost")
    await queue.enqueue(
        tar,
        target,
        job_id="off",
        not_before=timedelta(days=1),
    )
    await queue.cancel("off")
    await receiver.until(lambda: len(receiver.events) == 3)
    await other.until(lambda: len(other.events) == 1)
    await nothing_waits(outbox)
    told = {event["subject"]: event for event in receiver.events}
    assert {job_id: event["type"] for job_id, event in told.items()} == {
        "done": "push-queue.job.succeeded",
        "lost": "push-queue.job.failed",
        "off": "push-queue.job.cancelled",
    }
    assert told["done"]["data"] == (await queue.status("done")).model_dump(mode="json")
    assert told["done"]["data"]["results"][0]["digest"].startswith("sha256:")
    assert [event["id"] for event in other.events] == [told["lost"]["id"]]
    for path, headers, body in receiver.requests:
        assert path == PATH
        assert headers["content-type"] == "application/cloudevents+json; charset=utf-8"
        moment = int(headers["webhook-timestamp"])
        expected = signed_headers([KEY], headers["webhook-id"], moment, body)
        assert expected.items() <= headers.items()
    assert "S3CRET" not in process.log
    assert SECRET not in process.log


TROUBLES: dict[str, tuple[Answer, str]] = {
    "500": (answer_with(500), "500 Internal Server Error"),
    "503": (answer_with(503, **{"Retry-After": "0"}), "503"),
    "404": (answer_with(404), "404 Not Found"),
    "hangs": (hang, "did not answer in time"),
    "closes": (close_at_once, "connection"),
    "closes in the middle": (close_in_the_middle, "connection"),
}


@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_receiver_in_trouble_gets_it_later_and_holds_up_nobody(
    queue: PushQueue,
    outbox: WebhookOutbox,
    worker: StartWorker,
    receiver: HookReceiver,
    other: HookReceiver,
    trouble: str,
) -> None:
    receiver.answer, why = TROUBLES[trouble]
    hooks = setting(ci={"url": receiver.url, "timeout": 1}, well={"url": other.url})
    worker(PUSH_QUEUE_WEBHOOKS=hooks, **FAST)
    for job_id in ("a", "b"):
        await fail_job(queue, job_id)
    await other.until(lambda: len(other.events) == 2)
    await receiver.until(lambda: len(receiver.tried) >= 5)

    async def shown() -> bool:
        ci, well = await outbox.statuses()
        return why.lower() in (ci.last_failure or "").lower() and ci.failing and not well.failing

    await becomes(shown)
    ci, _ = await outbox.statuses()
    assert (ci.waiting, ci.delivered) == (2, 0)
    receiver.answer = take
    await receiver.until(lambda: len(receiver.events) == 2)
    await nothing_waits(outbox)
    assert {event["id"] for event in receiver.tried} == {event["id"] for event in other.events}


async def test_a_receiver_that_is_down_gets_it_when_it_is_back(
    queue: PushQueue, outbox: WebhookOutbox, worker: StartWorker, receiver: HookReceiver
) -> None:
    await receiver.close()
    process = worker(PUSH_QUEUE_WEBHOOKS=setting(ci={"url": receiver.url}), **FAST)
    for number in range(3):
        await fail_job(queue, f"job-{number}")

    async def failing() -> bool:
        [ci] = await outbox.statuses()
        return ci.failed > 5

    await becomes(failing)
    [ci] = await outbox.statuses()
    assert ci.last_failure == f"{receiver.url} cannot be reached: Connection refused"
    assert process.log.count("webhook ci: events wait") == 1
    await receiver.open()
    await receiver.until(lambda: len(receiver.events) == 3)
    await nothing_waits(outbox)
    process.wait_ready(lambda: "webhook ci: events arrive again" in process.log)


async def test_redirects_are_not_followed(
    queue: PushQueue,
    outbox: WebhookOutbox,
    worker: StartWorker,
    receiver: HookReceiver,
    other: HookReceiver,
) -> None:
    receiver.answer = answer_with(307, Location=other.url)
    worker(PUSH_QUEUE_WEBHOOKS=setting(ci={"url": receiver.url}), **FAST)
    await fail_job(queue, "a")
    await receiver.until(lambda: len(receiver.tried) >= 3)
    [ci] = await outbox.statuses()
    assert "redirects are not followed" in (ci.last_failure or "")
    assert other.tried == []


Command = Callable[..., Awaitable[tuple[int | None, str]]]


@pytest.fixture
def webhooks_command(redis_url: str, namespace: str) -> Command:
    """``push-queue webhooks``, beside which the receiver answers."""

    async def run(*arguments: str) -> tuple[int | None, str]:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "producer", "webhooks", *arguments),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env=clean_environment(PUSH_QUEUE_REDIS_URL=redis_url, PUSH_QUEUE_NAMESPACE=namespace),
        )
        async with asyncio.timeout(90):
            output, _ = await process.communicate()
        return process.returncode, output.decode()

    return run


async def test_a_receiver_that_is_gone_is_left_alone_until_a_ping_arrives(
    queue: PushQueue,
    outbox: WebhookOutbox,
    worker: StartWorker,
    receiver: HookReceiver,
    webhooks_command: Command,
    server: ApiServer,
) -> None:
    at = ("--server", server.url)
    receiver.answer = answer_with(410)
    worker(PUSH_QUEUE_WEBHOOKS=setting(ci={"url": receiver.url}), **FAST)
    await fail_job(queue, "a")

    async def gone() -> bool:
        [ci] = await outbox.statuses()
        return ci.gone

    await becomes(gone)
    tried = len(receiver.tried)
    await fail_job(queue, "b")
    # It looks for pings each second, and for events then, if it does.
    refused = f"push-queue: error: webhook ci: {receiver.url}: 410 Gone\n"
    assert await webhooks_command("--test", "ci") == (1, refused)
    assert await webhooks_command("--test", "ci", *at) == (1, refused)
    assert len(receiver.tried) == tried + 2
    receiver.answer = take
    assert await webhooks_command("--test", "ci", *at) == (0, "webhook ci: the ping arrived\n")
    await receiver.until(lambda: len(receiver.events) == 3)
    await nothing_waits(outbox)
    assert receiver.events[0]["type"] == "push-queue.ping"
    code, shown = await webhooks_command()
    assert (code, "S3CRET" in shown) == (0, False)
    assert receiver.url in shown
    assert await webhooks_command(*at) == (code, shown)
    code, shown = await webhooks_command("--test", "chat", *at)
    assert (code, "workers know ci" in shown) == (2, True)


async def test_a_backlog_is_sent_while_jobs_go_on(
    queue: PushQueue, outbox: WebhookOutbox, worker: StartWorker
) -> None:
    """More than a courier has in hand, to a receiver that answers slowly."""
    ready = asyncio.Event()

    async def take_when_ready(request: web.BaseRequest, event: Event) -> web.StreamResponse:
        await ready.wait()
        return await take(request, event)

    async with HookReceiver(take_when_ready) as receiver:
        worker(PUSH_QUEUE_WEBHOOKS=setting(ci={"url": receiver.url, "timeout": 60}), **FAST)
        jobs = [queue.describe("/no/such.tar", NOWHERE, job_id=f"job-{n}") for n in range(150)]
        await queue.enqueue_many(jobs)
        await receiver.until(lambda: len(receiver.tried) >= 10)
        for job in jobs:
            assert (await queue.wait(job.id, timeout=60)).state is JobState.FAILED
        ready.set()
        await receiver.until(lambda: len(receiver.events) == 150)
        await nothing_waits(outbox)
        assert len({event["subject"] for event in receiver.events}) == 150


async def test_a_worker_that_ends_sends_what_is_there(
    queue: PushQueue, receiver: HookReceiver, redis_url: str, namespace: str
) -> None:
    """With `--burst` it ends with its last job, and nobody may be left to tell of it."""
    await queue.enqueue("/no/such.tar", NOWHERE, job_id="a")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "worker", "--burst"),
        env=clean_environment(
            PUSH_QUEUE_REDIS_URL=redis_url,
            PUSH_QUEUE_NAMESPACE=namespace,
            PUSH_QUEUE_WEBHOOKS=setting(ci={"url": receiver.url}),
        ),
    )
    async with asyncio.timeout(60):
        assert await process.wait() == 0
    assert [event["subject"] for event in receiver.events] == ["a"]


async def test_a_receiver_with_a_certificate_of_its_own(
    authority: Authority, certs_dir: Path
) -> None:
    received: list[str] = []

    async def take_all(request: web.BaseRequest) -> web.Response:
        received.append(request.headers["webhook-id"])
        return web.Response()

    runner = web.ServerRunner(web.Server(take_all), shutdown_timeout=0)
    async with LocalServer(runner, authority.server().context()) as server:
        settings = load_settings().model_copy(update={"registry_certs_dir": certs_dir})
        delivery = Delivery(webhook(server.url), settings)
        with pytest.raises(NotDeliveredError, match="certificate"):
            await delivery.send("1", b"{}")
        await delivery.close()
        authority.trust(certs_dir, server.host)
        delivery = Delivery(webhook(server.url), settings)
        await delivery.send("2", b"{}")
        await delivery.close()
    assert received == ["2"]
