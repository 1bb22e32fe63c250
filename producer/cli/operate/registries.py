"""``push-queue registries``."""

from collections.abc import Sequence

import typer

from producer.cli.operate.operators import AnyOperator, operate
from producer.cli.options import JsonOption, ServerOption, TokenFileOption
from producer.cli.output import print_json
from producer.cli.tables import Row, print_table
from producer.cli.wording import moment, printable
from push_queue.models import RegistryInfo

COLUMNS = ("REGISTRY", "UPLOADS", "WAITING", "PAUSED")
DISPENSABLE = ("WAITING", "UPLOADS")
"""Columns that go first where a terminal is too narrow for all."""


def registries(
    context: typer.Context,
    json: JsonOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> None:
    """Show the registries in use: uploads under way, jobs that wait, pauses."""

    async def read(operator: AnyOperator) -> Sequence[RegistryInfo]:
        return await operator.registries()

    found = operate(context, server, token_file, read)
    if json:
        print_json([registry.model_dump(mode="json") for registry in found])
    else:
        print_table(COLUMNS, DISPENSABLE, [_row(registry) for registry in found])


def _row(registry: RegistryInfo) -> Row:
    cells = (
        registry.name,
        f"{registry.uploads} of {registry.max_uploads}",
        str(registry.waiting),
        _paused(registry),
    )
    return dict(zip(COLUMNS, map(printable, cells), strict=True))


def _paused(registry: RegistryInfo) -> str:
    if not registry.paused_until:
        return ""
    return f"until {moment(registry.paused_until)}: {registry.pause_reason}"
