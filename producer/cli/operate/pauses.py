"""``push-queue pause`` and ``resume``: the whole queue."""

from typing import Annotated, TypeAlias

import typer

from producer.cli.exits import BadInputError
from producer.cli.operate.operators import AnyOperator, operate
from producer.cli.options import JsonOption, ServerOption, TokenFileOption
from producer.cli.output import print_json, warn
from producer.cli.times import duration
from producer.cli.wording import how_paused, printable
from push_queue.models.job import MOST_PATIENCE_SECONDS
from push_queue.models.pause import MOST_REASON, Pause

EXAMPLES = {
    "pause": """
Examples:

    push-queue pause --reason "the storage is being moved"

    push-queue pause --for 30m

Workers end the jobs that they run, and wait. The pause survives restarts of Redis and of
workers, and ends with `push-queue resume`, or after the time that --for gives.
""",
    "resume": """
It ends the pause of the whole queue. Registries that are paused stay so: see
`push-queue registries resume HOST`.
""",
}

ForOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--for", metavar="TIME", help="End the pause by itself after 90s, 10m, 2h."),
]
ReasonOption: TypeAlias = Annotated[
    str | None, typer.Option("--reason", metavar="TEXT", help="Why; shown wherever the pause is.")
]


def pause(
    context: typer.Context,
    time: ForOption = None,
    reason: ReasonOption = None,
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Have workers take no new job; jobs can still be enqueued."""
    seconds, why = seconds_of(time), reason_of(reason)

    async def work(operator: AnyOperator) -> Pause | None:
        pause = await operator.pause(seconds=seconds, reason=why)
        for worker in await operator.workers():
            if not worker.heeds:
                warn(f"worker {worker.id} of release {worker.version} goes on taking jobs")
        return pause

    _print(operate(context, server, token_file, work), json=json)


def resume(
    context: typer.Context,
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Have workers take jobs again."""

    async def work(operator: AnyOperator) -> None:
        await operator.resume()

    operate(context, server, token_file, work)
    _print(None, json=json)


def seconds_of(text: str | None) -> int | None:
    """The time that ``--for`` gives.

    Raises:
        BadInputError: it is none, or too short or long for a pause.
    """
    if text is None:
        return None
    seconds = int(duration("--for", text).total_seconds())
    if not 0 < seconds <= MOST_PATIENCE_SECONDS:
        raise BadInputError(f"--for {text!r} is not between 1s and 365d")
    return seconds


def reason_of(text: str | None) -> str | None:
    """What ``--reason`` gives, on one line.

    Raises:
        BadInputError: it is too long.
    """
    if text and len(text) > MOST_REASON:
        raise BadInputError(f"--reason is too long; use {MOST_REASON} characters at most")
    return text or None


def _print(pause: Pause | None, *, json: bool) -> None:
    if json:
        print_json({"pause": pause and pause.model_dump(mode="json")})
    else:
        typer.echo(f"the queue {printable(how_paused(pause)) if pause else 'is not paused'}")
