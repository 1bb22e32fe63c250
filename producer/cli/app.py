"""The command line: global options, the commands, and what happens to errors."""

import sys
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from producer.cli import enqueue, jobs, push, verify
from producer.cli.exits import EXPECTED_ERRORS, BadInputsError, ExitCode, code_of_error

NAME = "push-queue"
DISTRIBUTION = "registry-push-queue"

EPILOG = """
Exit status: 0 success, 1 a push failed, 2 bad input, 3 Redis cannot be reached.
"""

app = typer.Typer(name=NAME, add_completion=False, epilog=EPILOG, pretty_exceptions_enable=False)
app.command("push", epilog=push.EXAMPLES)(push.push)
app.command("enqueue", epilog=enqueue.EXAMPLES)(enqueue.enqueue)
app.command("status")(jobs.status)
app.command("list")(jobs.list_jobs)
app.command("watch")(jobs.watch)
app.command("cancel")(jobs.cancel)
app.command("retry")(jobs.retry)
app.command("verify", epilog=verify.EXAMPLES)(verify.verify)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    try:
        typer.echo(version(DISTRIBUTION))
    except PackageNotFoundError:
        typer.echo("unknown (not installed)")
    raise typer.Exit


@app.callback()
def main(
    context: typer.Context,
    redis_url: Annotated[
        str | None,
        typer.Option(
            "--redis-url",
            metavar="URL",
            help="redis://, rediss:// or unix:// URL; else PUSH_QUEUE_REDIS_URL or REDIS_URL.",
        ),
    ] = None,
    _version: Annotated[
        bool,
        typer.Option("--version", is_eager=True, callback=_print_version, help="Show the version."),
    ] = False,
) -> None:
    """Push container images in the background: enqueue image tars and follow their jobs."""
    context.obj = redis_url


def run(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status. Errors end in one line, never in a traceback."""
    try:
        typed = sys.argv[1:] if arguments is None else arguments
        code = app(typed or ["--help"], prog_name=NAME, standalone_mode=False)
        return int(code or ExitCode.SUCCESS)
    except typer.TyperException as error:
        # Typer's own: unknown options, missing arguments, values of the wrong type.
        reason = error.format_message().replace("Value error, ", "").rstrip(".")
        return _fail(f"{reason} (see `{NAME} --help`)", ExitCode.BAD_INPUT)
    except BadInputsError as several:
        for each in several.errors:
            _fail(str(each), ExitCode.BAD_INPUT)
        return ExitCode.BAD_INPUT
    except EXPECTED_ERRORS as error:
        return _fail(str(error), code_of_error(error))
    except Exception as error:  # noqa: BLE001 - the outermost frame: no traceback reaches a user
        return _fail(f"internal error: {type(error).__name__}: {error}", ExitCode.PUSH_FAILED)


def _fail(message: str, code: ExitCode) -> int:
    typer.echo(f"{NAME}: error: {' '.join(message.split())}", err=True)
    return code
