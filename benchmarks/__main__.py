"""``python -m benchmarks``: run the suite, print the table, keep JSON and a plot."""

import signal
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .model import OURS, Benchmark, Result, Scale
from .report.document import Session, write_document
from .report.machine import Machine
from .report.plot import PlotUnavailableError, draw
from .report.table import print_table
from .runner import run_benchmark
from .suites import DEFAULT_SUITES, select_benchmarks

RESULTS = Path(__file__).parent / "results"
RUNS = 5
QUICK_DIVISOR = 10
PLAIN_WIDTH = 140

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    names: Annotated[
        list[str] | None, typer.Argument(help="Suites or benchmarks to run; all unless given.")
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the sizes, one run: does it all work?")
    ] = False,
    runs: Annotated[
        int | None, typer.Option(min=1, help=f"Runs of each contender. [default: {RUNS}]")
    ] = None,
    save_as: Annotated[
        str | None, typer.Option(help="Name of the files in benchmarks/results.")
    ] = None,
) -> None:
    """Measure the push engine against skopeo, curl and PyPI's client, the queue beside plain arq.

    Exit codes: 0 measured, 1 a push of ours failed, 2 no such benchmark.
    """
    # Ends like Ctrl-C: servers are stopped, images removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    try:
        benchmarks = select_benchmarks(
            names or DEFAULT_SUITES, Scale(QUICK_DIVISOR if quick else 1)
        )
    except LookupError as unknown:
        raise typer.BadParameter(str(unknown.args[0])) from None
    session = Session(datetime.now(UTC), Machine.this(), quick, runs or (1 if quick else RUNS))
    console = _console()
    console.print(str(session.machine), highlight=False, soft_wrap=True)

    results = [_run(benchmark, session.runs, console) for benchmark in benchmarks]
    print_table(console, results)
    if quick:
        console.print("A quick run: the bounds are meant for full sizes.", style="yellow")

    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{save_as or session.started_at.strftime('%Y%m%dT%H%M%SZ')}.json"
    write_document(path, session, results)
    console.print(f"Every value: {path}")
    try:
        draw(path.with_suffix(".png"), str(session.machine), results)
        console.print(f"Plot: {path.with_suffix('.png')}")
    except PlotUnavailableError as reason:
        console.print(str(reason), style="yellow")
    if any(OURS in result.failures for result in results):
        raise typer.Exit(1)


def _console() -> Console:
    # A file has no width; its lines are as long as the table needs.
    return Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)


def _run(benchmark: Benchmark, runs: int, console: Console) -> Result:
    console.print(f"[bold]{benchmark.name}[/]: {benchmark.title}", highlight=False)
    with console.status("making images") as status:
        return run_benchmark(benchmark, runs, status.update)


if __name__ == "__main__":
    app()
