"""``push-queue webhooks``."""

from collections.abc import Iterator
from typing import Annotated

import typer

from producer.cli.exit_code import ExitCode
from producer.cli.operate.operators import AnyOperator, operate
from producer.cli.options import JsonArrayOption, ServerOption, TokenFileOption
from producer.cli.output import print_error, print_json
from producer.cli.tables import Row, print_table
from producer.cli.wording import moment, printable
from push_queue.webhook_outbox import WebhookStatus

COLUMNS = ("WEBHOOK", "TO", "EVENTS", "DELIVERED", "WAITING", "LAST DELIVERY", "TROUBLE")
DISPENSABLE = ("EVENTS", "DELIVERED", "TO", "LAST DELIVERY", "WAITING")
"""Columns that go first where a terminal is too narrow for all."""


def webhooks(
    context: typer.Context,
    test: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Have a worker send this receiver a ping, and wait."),
    ] = None,
    json: JsonArrayOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Show the receivers of webhooks, and whether events arrive."""

    async def ping(operator: AnyOperator) -> str:
        return await operator.ping_webhook(test or "")

    async def read(operator: AnyOperator) -> tuple[WebhookStatus, ...]:
        return await operator.webhooks()

    if test is not None:
        return _tell(test, operate(context, server, token_file, ping))
    found = operate(context, server, token_file, read)
    if json:
        print_json([receiver.model_dump(mode="json") for receiver in found])
    else:
        print_table(COLUMNS, DISPENSABLE, [_row(receiver) for receiver in found])
    return ExitCode.SUCCESS


def _tell(name: str, failure: str) -> ExitCode:
    if failure:
        print_error(f"webhook {name}: {failure}")
        return ExitCode.PUSH_FAILED
    typer.echo(f"webhook {name}: the ping arrived")
    return ExitCode.SUCCESS


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
