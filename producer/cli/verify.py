"""``push-queue verify``."""

from collections.abc import Iterable
from typing import Annotated

import typer
from rich.table import Column, Table
from rich.text import Text

from producer.cli.exit_code import ExitCode
from producer.cli.exits import NotVerifiedError
from producer.cli.options import (
    ImageOption,
    JsonOption,
    PlatformOption,
    TarArgument,
    settings_of,
)
from producer.cli.output import print_json
from producer.cli.requests import check_source
from producer.cli.signals import run
from producer.cli.tables import plain_table, print_rows
from producer.cli.wording import size
from producer.registries import open_client
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

    push-queue verify --deep registry.example.com/app@sha256:0a1b… app.tar

Exit status: 0 the registry holds the image of the tar, 1 it does not, 2 bad input, 4 the registry
cannot be asked.
"""

COLUMNS = ("PART", "TAR", "REGISTRY", "SIZE", "RESULT", "PROVEN BY")
NUMBERS = ("SIZE",)
COLORS = {Verdict.EQUAL: "green"}
DIGEST_WIDTH = len("sha256:") + 12
NONE = "-"


def verify(
    context: typer.Context,
    reference: Annotated[
        str, typer.Argument(metavar="REF", help="registry/repository:tag or …@sha256:digest.")
    ],
    tar: TarArgument,
    image: ImageOption = None,
    platform: PlatformOption = None,
    deep: Annotated[
        bool, typer.Option("--deep", help="Download every blob and compute every digest.")
    ] = False,
    json: JsonOption = False,
) -> ExitCode:
    """Check an image in a registry against a tar, layer by layer."""
    where, source = parse_reference(reference), check_source(tar)
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


def print_parts(parts: Iterable[PartCheck]) -> None:
    """A table on a terminal, tab-separated lines with whole digests elsewhere."""
    print_rows(COLUMNS, map(_row, parts), lambda _: _table(parts))


def _table(parts: Iterable[PartCheck]) -> Table:
    table = plain_table(
        Column(name, no_wrap=True, justify="right" if name in NUMBERS else "left")
        for name in COLUMNS
    )
    for part in parts:
        name, tar, registry, bytes_there, verdict, proof = _row(part)
        table.add_row(
            name,
            tar[:DIGEST_WIDTH],
            registry[:DIGEST_WIDTH],
            bytes_there if part.size is None else size(part.size),
            Text(verdict, COLORS.get(part.verdict, "red")),
            proof,
        )
    return table


def _row(part: PartCheck) -> tuple[str, ...]:
    bytes_there = NONE if part.size is None else str(part.size)
    tar, registry = part.tar or NONE, part.registry or NONE
    return part.part, tar, registry, bytes_there, part.verdict, part.proof
