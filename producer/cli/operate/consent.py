"""Whether what may do much is meant."""

import sys

import typer

from producer.cli.exits import BadInputError


def check_can_ask(command: str) -> None:
    """Refuse what nobody can be asked about.

    Raises:
        BadInputError: there is no terminal.
    """
    if not sys.stdin.isatty():
        raise BadInputError(f"{command}: add --yes to do it, or --dry-run to see it")


def agreed(what: str) -> bool:
    """Whether the answer is yes: ``3 jobs would be cancelled``."""
    try:
        if typer.confirm(f"push-queue: {what}; go on?", err=True):
            return True
    except typer.Abort:  # Ctrl-D, which leaves the cursor behind the question
        typer.echo(err=True)
    tell("nothing was changed")
    return False


def tell(what: str) -> None:
    """Write to standard error what happened."""
    typer.echo(f"push-queue: {what}", err=True)
