"""``python -m benchmarks``: run the suite, print the table, keep JSON and a plot."""

import signal
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from .model import OURS, Benchmark, Result, Scale
from .programs import compile_packages
from .report.document import Session, write_document
from .report.growth_plot import draw_growth
from .report.machine import Machine
from .report.plot import PlotUnavailableError, draw
from .report.table import print_table
from .runner import run_benchmark
from .suites import DEFAULT_SUITES, SUITES, select_benchmarks

RESULTS = Path(__file__).parent / "results"
RUNS = 5
QUICK_DIVISOR = 10
PLAIN_WIDTH = 140

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(
            help=f"Suites ({', '.join(SUITES)}) or single benchmarks. "
            f"[default: {' '.join(DEFAULT_SUITES)}]"
        ),
    ] = None,
    quick: Annotated[
        bool, typer.Option("--quick", help="A tenth of the sizes, one run: does it all work?")
    ] = False,
    divide_by: Annotated[
        int | None, typer.Option(min=1, help="Divide all sizes. [default: 1; quick: 10]")
    ] = None,
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
    # SIGTERM ends it like Ctrl-C: servers are stopped, images removed.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    divisor = divide_by or (QUICK_DIVISOR if quick else 1)
    try:
        benchmarks = select_benchmarks(names or DEFAULT_SUITES, Scale(divisor))
    except LookupError as unknown:
        raise typer.BadParameter(str(unknown.args[0])) from None
    session = Session(
        datetime.now(UTC), Machine.this(), divisor > 1, runs or (1 if quick else RUNS)
    )
    compile_packages()
    console = _console()
    console.print(str(session.machine), highlight=False, soft_wrap=True)

    results = [_run(benchmark, session.runs, console) for benchmark in benchmarks]
    print_table(console, results)
    if divisor > 1:
        console.print("A small run: the bounds are meant for full sizes.", style="yellow")

    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{save_as or session.started_at.strftime('%Y%m%dT%H%M%SZ')}.json"
    write_document(path, session, results)
    console.print(f"Every value: {path}")
    _draw_plots(path, str(session.machine), results, console)
    if any(OURS in result.failures for result in results):
        raise typer.Exit(1)


def _console() -> Console:
    # A file has no width; its lines are as long as the table needs.
    return Console() if sys.stdout.isatty() else Console(width=PLAIN_WIDTH)


def _run(benchmark: Benchmark, runs: int, console: Console) -> Result:
    console.print(f"[bold]{benchmark.name}[/]: {benchmark.title}", highlight=False)
    with console.status("making images") as status:
        return run_benchmark(benchmark, runs, status.update)


def _draw_plots(path: Path, caption: str, results: Sequence[Result], console: Console) -> None:
    """Bars of what is compared at one size, lines of what grows."""
    growing = [result for result in results if result.benchmark.series]
    compared = [result for result in results if not result.benchmark.series]
    plots = ((".png", draw, compared), (".svg", draw_growth, growing))
    try:
        for suffix, draw_results, drawn in plots:
            if drawn:
                draw_results(path.with_suffix(suffix), caption, drawn)
                console.print(f"Plot: {path.with_suffix(suffix)}")
    except PlotUnavailableError as reason:
        console.print(str(reason), style="yellow")


if __name__ == "__main__":
    app()
