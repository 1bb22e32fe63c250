"""``push-queue stats``."""

from collections.abc import Iterator
from datetime import timedelta

import typer

from producer.cli.operate.operators import AnyOperator, operate
from producer.cli.options import JsonOption, ServerOption, TokenFileOption
from producer.cli.output import print_json, print_sections
from producer.cli.wording import how_paused, size, span
from push_queue.figures.stats import QueueStats


def stats(
    context: typer.Context,
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Show how the queue is doing, now and in the last hour."""

    async def read(operator: AnyOperator) -> QueueStats:
        return await operator.stats()

    found = operate(context, server, token_file, read)
    if json:
        print_json(found.model_dump(mode="json"))
    else:
        print_sections(_sections(found))


def _sections(found: QueueStats) -> Iterator[tuple[str, list[str]]]:
    yield "Queue", [how_paused(found.pause)] if found.pause else []
    yield "Jobs", [f"{count} {state}" for state, count in found.jobs.items()]
    yield "Due", [_due(found)]
    hour = found.last_hour
    yield "Last hour", [f"{hour.succeeded} succeeded, {hour.failed} failed"]
    yield "Failures", [f"{count} {kind}" for kind, count in hour.failures.items()]
    yield "Sent", [f"{size(hour.bytes_sent)}, {size(hour.bytes_saved)} saved"]


def _due(found: QueueStats) -> str:
    if found.oldest_due_seconds is None:
        return "no job waits for a worker"
    waited = span(timedelta(seconds=found.oldest_due_seconds))
    return f"{found.due} for a worker, the first one for {waited}"
