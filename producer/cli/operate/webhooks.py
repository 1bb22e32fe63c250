"""``push-queue webhooks``."""

import asyncio
from collections.abc import Iterator
from typing import Annotated

import typer

from producer.cli.exit_code import ExitCode
from producer.cli.exits import BadInputError
from producer.cli.options import JsonOption, settings_of
from producer.cli.output import print_error, print_json
from producer.cli.signals import run
from producer.cli.tables import Row, print_table
from producer.cli.wording import moment, printable
from producer.queue import PushQueue
from push_queue.errors import WaitTimeoutError
from push_queue.settings import Settings
from push_queue.webhook_outbox import WebhookOutbox, WebhookStatus

COLUMNS = ("WEBHOOK", "TO", "EVENTS", "DELIVERED", "WAITING", "LAST DELIVERY", "TROUBLE")
DISPENSABLE = ("EVENTS", "DELIVERED", "TO", "LAST DELIVERY", "WAITING")
"""Columns that go first where a terminal is too narrow for all."""

POLL_SECONDS = 0.1
ANSWER_SECONDS = 75.0
"""A receiver may have a minute to answer, and its worker looks for pings every second."""


def webhooks(
    context: typer.Context,
    test: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Have a worker send this receiver a ping, and wait."),
    ] = None,
    json: JsonOption = False,
) -> ExitCode:
    """Show the receivers of webhooks, and whether events arrive."""
    settings = settings_of(context)
    if test is not None:
        return run(_ping(settings, test))
    found = run(_read(settings))
    if json:
        print_json([receiver.model_dump(mode="json") for receiver in found])
    else:
        print_table(COLUMNS, DISPENSABLE, [_row(receiver) for receiver in found])
    return ExitCode.SUCCESS


async def _read(settings: Settings) -> tuple[WebhookStatus, ...]:
    async with PushQueue.connect(settings) as queue:
        return await WebhookOutbox(queue.database).statuses()


async def _ping(settings: Settings, name: str) -> ExitCode:
    """Raises:
    BadInputError: no such receiver.
    WaitTimeoutError: no worker has sent it.
    """
    async with PushQueue.connect(settings) as queue:
        outbox = WebhookOutbox(queue.database)
        known = [receiver.name for receiver in await outbox.statuses()]
        if name not in known:
            raise BadInputError(
                f"no webhook {name!r}; workers know {', '.join(known) or 'none'}, "
                "see PUSH_QUEUE_WEBHOOKS"
            )
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                failure = await _answer(outbox, name, await outbox.ask_for_ping(name))
        except TimeoutError:
            raise WaitTimeoutError(
                f"no worker has sent the ping to {name}; are there any with it in "
                "PUSH_QUEUE_WEBHOOKS? See `push-queue workers`"
            ) from None
    if failure:
        print_error(f"webhook {name}: {failure}")
        return ExitCode.PUSH_FAILED
    typer.echo(f"webhook {name}: the ping arrived")
    return ExitCode.SUCCESS


async def _answer(outbox: WebhookOutbox, name: str, token: str) -> str:
    """Why the ping failed; empty if it arrived."""
    while True:
        answer = await outbox.ping_answer(name, token)
        if answer is not None:
            return answer
        await asyncio.sleep(POLL_SECONDS)


def _row(receiver: WebhookStatus) -> Row:
    since = f", since {moment(receiver.waiting_since)}" if receiver.waiting_since else ""
    cells = (
        receiver.name,
        receiver.origin,
        ", ".join(receiver.states),
        str(receiver.delivered),
        f"{receiver.waiting}{since}",
        moment(receiver.last_success_at) if receiver.last_success_at else "",
        "; ".join(_troubles(receiver)),
    )
    return dict(zip(COLUMNS, map(printable, cells), strict=True))


def _troubles(receiver: WebhookStatus) -> Iterator[str]:
    if receiver.gone:
        yield "it has answered 410, so nothing is sent"
    elif receiver.failing:
        yield f"{receiver.last_failure}"
    if receiver.given_up:
        yield f"{receiver.given_up} given up after a day"
    if receiver.dropped:
        yield f"{receiver.dropped} dropped while it was away"
