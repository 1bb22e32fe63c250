"""``push-queue workers``."""

from collections.abc import Sequence

import typer

from producer.cli.operate.operators import AnyOperator, operate
from producer.cli.options import JsonArrayOption, ServerOption, TokenFileOption
from producer.cli.output import print_json
from producer.cli.tables import Row, print_table
from producer.cli.wording import moment, printable
from push_queue.models.fleet import WorkerInfo, WorkerState

COLUMNS = ("WORKER", "STATE", "JOBS", "VERSION", "HOST", "PID", "SINCE", "TROUBLE")
DISPENSABLE = ("PID", "HOST", "SINCE", "VERSION", "TROUBLE", "JOBS")
"""Columns that go first where a terminal is too narrow for all."""

COLORS: dict[str, str] = {
    WorkerState.WORKING: "green",
    WorkerState.DRAINING: "yellow",
    WorkerState.PAUSED: "magenta",
}


def workers(
    context: typer.Context,
    json: JsonArrayOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Show the live workers, and what each of them does."""

    async def read(operator: AnyOperator) -> Sequence[WorkerInfo]:
        return await operator.workers()

    found = operate(context, server, token_file, read)
    if json:
        print_json([worker.model_dump(mode="json") for worker in found])
    else:
        print_table(COLUMNS, DISPENSABLE, [_row(worker) for worker in found], COLORS)


def _row(worker: WorkerInfo) -> Row:
    cells = (
        worker.id,
        worker.state,
        str(worker.running),
        worker.version,
        worker.host,
        str(worker.pid),
        moment(worker.started_at),
        worker.problem,
    )
    return dict(zip(COLUMNS, map(printable, cells), strict=True))
