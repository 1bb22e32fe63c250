"""The command line: global options, how a command is loaded, and how errors are reported.

A command's module is loaded when the command is run, so that help and version appear at once.
"""

import errno
import gc
import io
import sys
from importlib import import_module
from types import ModuleType
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.main import get_command

from producer.cli.commands import COMMANDS, HELP_OPTIONS
from producer.cli.exit_code import ExitCode
from push_queue.lost_output import error_may_be_lost, give_up

NAME = "push-queue"

EPILOG = """
To begin: `push-queue up` runs all of it on this machine; `push-queue push` needs no queue.

Exit status: 0 success, 1 a push failed, 2 bad input, 3 Redis or the server cannot be reached,
4 not known yet.
"""


class LazyGroup(TyperGroup):
    """Knows names and summaries; a command itself is loaded to be run."""

    def __init__(self, **options: Any) -> None:
        super().__init__(**options)
        for name, entry in COMMANDS.items():
            # As the short help it is shown whole, however narrow the terminal or a shell's list.
            self.add_command(TyperCommand(name, help=entry.summary, short_help=entry.summary))

    def resolve_command(self, *arguments: Any) -> tuple[str | None, Any, list[str]]:
        name, _, rest = super().resolve_command(*arguments)
        command = load_command(name) if name else None
        # From here on there is garbage, but not among what is loaded.
        gc.freeze()
        gc.enable()
        return name, command, rest


def load_command(name: str) -> Any:
    """The command of that name, ready to be run."""
    entry = COMMANDS[name]
    module = import_module(f"producer.cli.{entry.module}")
    found = getattr(module, entry.function)
    if isinstance(found, typer.Typer):
        return get_command(found)
    alone = typer.Typer(add_completion=False, rich_markup_mode=None)
    command = alone.command(name, epilog=_examples_of(module, name), context_settings=HELP_OPTIONS)
    command(found)
    return get_command(alone)


def _examples_of(module: ModuleType, name: str) -> str | None:
    """What its help ends with; a module of several commands has it by their names."""
    examples: str | dict[str, str] | None = getattr(module, "EXAMPLES", None)
    return examples[name] if isinstance(examples, dict) else examples


app = typer.Typer(
    name=NAME,
    cls=LazyGroup,
    epilog=EPILOG,
    context_settings=HELP_OPTIONS,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
)


def _print_version(wanted: bool) -> None:
    if not wanted:
        return
    from push_queue.version import own_version

    typer.echo(own_version())
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
    if redis_url is not None:
        from push_queue.settings.redis_url import parse_redis_url

        try:
            parse_redis_url(redis_url)
        except ValueError as error:
            raise typer.BadParameter(str(error), context, param_hint="--redis-url") from None
    context.obj = redis_url


def run(arguments: list[str] | None = None) -> int:
    """Run a command and return its exit status. Errors end in one line, never in a traceback."""
    _escape_what_cannot_be_shown()
    try:
        typed = sys.argv[1:] if arguments is None else arguments
        if typed and typed[0].endswith("-completion"):
            # Loaded here: a Typer that is made otherwise inside must not break the commands.
            from producer.cli.zsh_completion import complete_at_once

            complete_at_once()
        code = app(typed or ["--help"], prog_name=NAME, standalone_mode=False)
        return int(code or ExitCode.SUCCESS)
    except typer.TyperException as error:
        # Typer's own: unknown options, missing arguments, values of the wrong type.
        reason = error.format_message().replace("Value error, ", "").rstrip(".")
        context = getattr(error, "ctx", None)
        # The parser knows no context where an option lacks its value.
        called = f"{NAME} {typed[0]}" if typed and typed[0] in COMMANDS else NAME
        command = context.command_path if context else called
        return _fail(f"{reason} (see `{command} --help`)", ExitCode.BAD_INPUT)
    except Exception as error:  # noqa: BLE001 - the outermost frame: no traceback reaches a user
        return _report(error)


def _escape_what_cannot_be_shown() -> None:
    """Names have characters that not every terminal's encoding has, or that are none."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")


def _report(error: Exception) -> ExitCode:
    from producer.cli.exits import EXPECTED_ERRORS, BadInputsError, code_of_error

    if isinstance(error, BadInputsError):
        for each in error.errors:
            _fail(str(each), ExitCode.BAD_INPUT)
        return ExitCode.BAD_INPUT
    if isinstance(error, EXPECTED_ERRORS):
        return _fail(str(error), code_of_error(error))
    if isinstance(error, UnicodeEncodeError):
        # Output cannot cause it, see above, and Redis gets nothing but what was typed.
        broken = error.object[error.start : error.end]
        return _fail(f"{broken!r} in what was typed is not UTF-8", ExitCode.BAD_INPUT)
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        # The command itself writes nothing but its output.
        give_up(sys.stdout)
        return _fail(f"cannot write the output: {error.strerror}", ExitCode.PUSH_FAILED)
    if isinstance(error, OSError) and isinstance(error.filename, str):
        # As --install-completion without a home.
        return _fail(f"{error.filename} cannot be used: {error.strerror}", ExitCode.PUSH_FAILED)
    what = f"internal error: {type(error).__name__}: {error}; please report it"
    return _fail(what, ExitCode.PUSH_FAILED)


def _fail(message: str, code: ExitCode) -> ExitCode:
    with error_may_be_lost():
        typer.echo(f"{NAME}: error: {' '.join(message.split())}", err=True)
    return code
