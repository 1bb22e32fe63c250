"""``push-queue verify``."""

from collections.abc import Sequence
from pathlib import Path
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from producer.cli.exit_code import ExitCode
from producer.cli.exits import BadInputError, NotVerifiedError
from producer.cli.options import (
    ImageOption,
    JsonOption,
    PlatformOption,
    TarArgument,
    settings_of,
)
from producer.cli.output import print_json
from producer.cli.requests import STANDARD_INPUT, check_source, tar_of
from producer.cli.signals import run
from producer.cli.tables import Row, fitting, plain_table, print_rows
from producer.cli.wording import size
from producer.registries import open_client
from push_queue.models.source_urls import shown
from registry_api_v2_client import (
    ManifestUnknownError,
    NameUnknownError,
    PartCheck,
    Platform,
    Reference,
    RegistryError,
    ValidationError,
    Verdict,
    Verification,
    parse_reference,
)

EXAMPLES = """
Examples:

    push-queue verify localhost:15000/app:1 app.tar

    push-queue verify --deep reg.example.com/team/app:1.0 app.tar

Exit status: 0 the registry holds the image of the tar, 1 it does not, 2 bad input, 4 the registry
cannot be asked.
"""

COLUMNS = ("PART", "TAR", "REGISTRY", "SIZE", "RESULT", "PROVEN BY")
NUMBERS = ("SIZE",)
DIGESTS = ("TAR", "REGISTRY")
DISPENSABLE = ("PROVEN BY", "SIZE", "TAR", "REGISTRY")
"""Columns that go first where a terminal is too narrow for all; the result of each part stays."""
COLORS = {Verdict.EQUAL: "green"}
DIGEST_WIDTH = len("sha256:") + 12
NONE = "-"


def verify(
    context: typer.Context,
    reference: Annotated[
        str,
        typer.Argument(
            metavar="REF", help="registry/repository:tag or registry/repository@sha256:…"
        ),
    ],
    tar: TarArgument,
    image: ImageOption = None,
    platform: PlatformOption = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Download every blob, and compute its digest here.")
    ] = False,
    json: JsonOption = False,
) -> ExitCode:
    """Check an image in a registry against a tar, layer by layer."""
    where, source = parse_reference(reference), local_tar(tar)
    chosen = Platform.parse(platform) if platform else None
    settings = settings_of(context)

    async def main() -> Verification:
        async with open_client(settings) as client:
            return await client.verify(where, source, image=image, platform=chosen, deep=deep)

    try:
        found = run(main())
    except (ManifestUnknownError, NameUnknownError, ValidationError):
        raise
    except RegistryError as error:
        raise NotVerifiedError(str(error)) from error
    if json:
        print_json(as_json(where, found))
    else:
        print_parts(found.parts)
    return ExitCode.SUCCESS if found.equal else ExitCode.PUSH_FAILED


def local_tar(text: str) -> Path:
    """The absolute path of the tar, or of a layout's folder.

    Raises:
        BadInputError: a URL, a pipe, or nothing that can be read here.
        SourceUnreadableError: a folder that holds no image.
    """
    tar = tar_of(text)
    if isinstance(tar, str):
        raise BadInputError(f"{shown(tar)}: verify reads a tar here; download it and name its path")
    if tar == STANDARD_INPUT:
        raise BadInputError(
            "verify reads a tar more than once; write standard input to a file and name its path"
        )
    return check_source(tar)


def as_json(reference: Reference, found: Verification) -> dict[str, object]:
    """The stable JSON object: digests in full, sizes in bytes."""
    return {
        "reference": str(reference),
        "digest": found.digest,
        "equal": found.equal,
        "parts": [
            {
                "part": part.part,
                "tar": part.tar,
                "registry": part.registry,
                "size": part.size,
                "result": part.verdict,
                "proof": part.proof,
            }
            for part in found.parts
        ],
    }


def print_parts(parts: Sequence[PartCheck]) -> None:
    """A table on a terminal, tab-separated lines with whole digests elsewhere."""
    print_rows(COLUMNS, (_row(part).values() for part in parts), lambda width: _table(parts, width))


def _table(parts: Sequence[PartCheck], width: int) -> Table:
    rows = [_short(part) for part in parts]
    names = fitting(COLUMNS, rows, DISPENSABLE, width)
    table = plain_table(
        Column(name, no_wrap=True, justify="right" if name in NUMBERS else "left") for name in names
    )
    for part, row in zip(parts, rows, strict=True):
        cells = {name: Text(row[name]) for name in names}
        cells["RESULT"].stylize(COLORS.get(part.verdict, "red"))
        table.add_row(*cells.values())
    return table


def _row(part: PartCheck) -> Row:
    cells = (
        part.part,
        part.tar or NONE,
        part.registry or NONE,
        NONE if part.size is None else str(part.size),
        part.verdict,
        part.proof,
    )
    return dict(zip(COLUMNS, cells, strict=True))


def _short(part: PartCheck) -> Row:
    """As people read it."""
    row = {**_row(part)}
    for column in DIGESTS:
        row[column] = row[column][:DIGEST_WIDTH]
    if part.size is not None:
        row["SIZE"] = size(part.size)
    return row
