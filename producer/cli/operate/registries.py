"""``push-queue registries``, with ``pause`` and ``resume``."""

from collections.abc import Sequence
from typing import Annotated, TypeAlias

import typer

from producer.cli.commands import COMMANDS, HELP_OPTIONS
from producer.cli.operate.operators import AnyOperator, operate
from producer.cli.operate.pauses import ForOption, ReasonOption, reason_of, seconds_of
from producer.cli.options import JsonArrayOption, JsonOption, ServerOption, TokenFileOption
from producer.cli.output import print_json
from producer.cli.tables import Row, print_table
from producer.cli.wording import how_paused, moment, printable
from push_queue.models.fleet import RegistryInfo

COLUMNS = ("REGISTRY", "UPLOADS", "WAITING", "PAUSED")
DISPENSABLE = ("WAITING", "UPLOADS")
"""Columns that go first where a terminal is too narrow for all."""

EXAMPLES = """
Examples:

    push-queue registries

    push-queue registries pause reg.example.com --for 30m --reason "it gets new disks"

    push-queue registries resume reg.example.com
"""
PAUSE_NOTES = """
Blobs that are being sent go on; no other is begun, and the jobs wait, as long as it takes. The
pause survives restarts. It ends with `push-queue registries resume`, or after the time of --for.
"""

HostArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="HOST", help="The registry, as targets name it: reg.example.com or localhost:5000."
    ),
]

group = typer.Typer(
    name="registries",
    add_completion=False,
    rich_markup_mode=None,
    invoke_without_command=True,
    epilog=EXAMPLES,
    context_settings=HELP_OPTIONS,
)


@group.callback(help=COMMANDS["registries"].summary)
def registries(
    context: typer.Context,
    json: JsonArrayOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> None:
    if context.invoked_subcommand:
        return

    async def read(operator: AnyOperator) -> Sequence[RegistryInfo]:
        return await operator.registries()

    found = operate(context, server, token_file, read)
    if json:
        print_json([registry.model_dump(mode="json") for registry in found])
    else:
        print_table(COLUMNS, DISPENSABLE, [_row(registry) for registry in found])


@group.command(epilog=PAUSE_NOTES, context_settings=HELP_OPTIONS)
def pause(
    context: typer.Context,
    host: HostArgument,
    time: ForOption = None,
    reason: ReasonOption = None,
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Have workers begin no upload to a registry, until it is resumed."""
    seconds, why = seconds_of(time), reason_of(reason)

    async def work(operator: AnyOperator) -> RegistryInfo:
        return await operator.pause_registry(host, seconds=seconds, reason=why)

    _print(operate(context, server, token_file, work), json=json)


@group.command(context_settings=HELP_OPTIONS)
def resume(
    context: typer.Context,
    host: HostArgument,
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """End every pause of a registry, also one that it began itself."""

    async def work(operator: AnyOperator) -> RegistryInfo:
        return await operator.resume_registry(host)

    _print(operate(context, server, token_file, work), json=json)


def _print(registry: RegistryInfo, *, json: bool) -> None:
    if json:
        print_json(registry.model_dump(mode="json"))
    else:
        typer.echo(printable(f"{registry.name} {_paused(registry) or 'is not paused'}"))


def _row(registry: RegistryInfo) -> Row:
    cells = (
        registry.name,
        f"{registry.uploads} of {registry.max_uploads}",
        str(registry.waiting),
        _paused(registry),
    )
    return dict(zip(COLUMNS, map(printable, cells), strict=True))


def _paused(registry: RegistryInfo) -> str:
    if registry.pause:
        return how_paused(registry.pause)
    if registry.paused_until:
        return f"waits until {moment(registry.paused_until)}: {registry.pause_reason}"
    return ""
