"""``push-queue doctor``."""

from collections import Counter
from collections.abc import Iterable
from typing import Annotated

import typer

from producer.cli.exit_code import ExitCode
from producer.cli.options import (
    JsonArrayOption,
    ServerOption,
    TokenFileOption,
    server_of,
    settings_of,
)
from producer.cli.output import coloured, print_json
from producer.cli.signals import run
from producer.cli.wording import printable
from producer.doctor.examination import examine
from producer.doctor.finding import Finding, Severity
from producer.doctor.registry import Place

EXAMPLES = """
Run it where a worker runs, with the same settings. Where these name a server and no Redis, the
server is looked at in place of Redis and workers.

Examples:

    push-queue doctor

    push-queue doctor reg.example.com/team/app

Exit status: 0 nothing is wrong, though there may be warnings, 1 something is, 2 bad input.
"""

COLORS = {Severity.OK: "green", Severity.WARNING: "yellow", Severity.PROBLEM: "red"}
WIDTH = max(map(len, Severity))


def doctor(
    context: typer.Context,
    places: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="REPOSITORY",
            help="registry/repository to try an upload to; else the registries in use are asked.",
        ),
    ] = None,
    json: JsonArrayOption = False,
    server: ServerOption = None,
    token_file: TokenFileOption = None,
) -> ExitCode:
    """Look for what is wrong with the set-up, and say what to do."""
    settings = settings_of(context)
    api = server_of(context, settings, server, token_file)
    wanted = [Place.parse(text) for text in places or ()]
    found: list[Finding] = []

    async def main() -> None:
        async for finding in examine(settings, wanted, api):
            found.append(finding)
            if not json:
                _print(finding)

    run(main())
    if json:
        print_json([finding.model_dump(mode="json") for finding in found])
    else:
        typer.echo(summary(found), err=True)
    bad = any(finding.severity is Severity.PROBLEM for finding in found)
    return ExitCode.PUSH_FAILED if bad else ExitCode.SUCCESS


def summary(found: Iterable[Finding]) -> str:
    """``1 problem, 2 warnings``."""
    counts = Counter(finding.severity for finding in found)
    parts = [
        f"{counts[severity]} {severity}{'s' if counts[severity] > 1 else ''}"
        for severity in (Severity.PROBLEM, Severity.WARNING)
        if counts[severity]
    ]
    return ", ".join(parts) or "nothing is wrong"


def _print(finding: Finding) -> None:
    severity = coloured(f"{finding.severity:<{WIDTH}}", COLORS[finding.severity])
    advice = f"; {finding.advice}" if finding.advice else ""
    typer.echo(f"{severity}  {printable(f'{finding.subject}: {finding.text}{advice}')}")
