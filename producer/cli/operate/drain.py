"""``push-queue drain``."""

import asyncio
from collections.abc import Sequence
from datetime import timedelta
from typing import Annotated

import typer

from producer.cli.exits import BadInputError
from producer.cli.operate.operators import AnyOperator, operate
from producer.cli.options import JsonArrayOption, ServerOption, TimeoutOption, TokenFileOption
from producer.cli.output import print_json
from producer.cli.times import longest_wait
from producer.cli.wording import printable
from producer.counted import how_many
from push_queue.errors import WaitTimeoutError
from push_queue.models.fleet import WorkerInfo

LOOK_SECONDS = 0.5

EXAMPLES = """
Examples:

    push-queue drain builder-1660-3f2a --wait

A drained worker ends with status 0 once its last job has ended, however long that
takes; whatever runs it may start another. `push-queue workers` shows who is left.
"""


def drain(
    context: typer.Context,
    worker_ids: Annotated[
        list[str],
        typer.Argument(
            metavar="WORKER", help="Ids of workers, as `push-queue workers` shows them."
        ),
    ],
    wait: Annotated[bool, typer.Option("--wait", help="Wait until they have stopped.")] = False,
    timeout: TimeoutOption = None,
    json: JsonArrayOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Have workers finish their jobs, take no more, and stop."""
    if timeout and not wait:
        raise BadInputError("--timeout goes with --wait")
    ids, most = list(dict.fromkeys(worker_ids)), longest_wait(timeout)

    async def work(operator: AnyOperator) -> list[WorkerInfo]:
        drained = [await operator.drain(worker_id) for worker_id in ids]
        if json:
            print_json([worker.model_dump(mode="json") for worker in drained])
        else:
            for worker in drained:
                typer.echo(printable(f"{worker.id} {worker.state}: {_left(worker)}"))
        if wait:
            await _gone(operator, ids, most)
        return drained

    operate(context, server, token_file, work)


def _left(worker: WorkerInfo) -> str:
    return f"{how_many(worker.running, 'job')} left"


async def _gone(operator: AnyOperator, ids: Sequence[str], most: timedelta | None) -> None:
    try:
        async with asyncio.timeout(most.total_seconds() if most else None):
            while True:
                alive = {worker.id for worker in await operator.workers()}
                if alive.isdisjoint(ids):
                    return
                await asyncio.sleep(LOOK_SECONDS)
    except TimeoutError:
        raise WaitTimeoutError(
            "--timeout is over; the workers stop once their jobs are done"
        ) from None
