"""``push-queue token``."""

from typing import Annotated

import typer
from pydantic import TypeAdapter, ValidationError

from producer.cli.exits import BadInputError
from producer.cli.options import settings_of
from push_queue.errors import summarize
from push_queue.settings.api_tokens import ApiToken, ApiTokens, Role, hash_of, new_token

EXAMPLES = """
Examples:

    push-queue token ci --role enqueue --target 'reg.example.com/team/*'

    push-queue token dashboard --role read --target '*/*'

    push-queue token operator --role admin

    push-queue token fleet --role worker

The token goes to standard output, and is kept nowhere. The new value of
PUSH_QUEUE_API_TOKENS, which holds its hash beside the tokens that are there,
goes to standard error: set it where `push-queue serve` runs, in its environment
or as the file /run/secrets/PUSH_QUEUE_API_TOKENS, and start that again.
"""

_tokens: TypeAdapter[ApiTokens] = TypeAdapter(ApiTokens)


def make_token(
    context: typer.Context,
    name: Annotated[
        str,
        typer.Argument(
            metavar="NAME", help="Who gets it; an older token of that name is replaced."
        ),
    ],
    role: Annotated[
        Role,
        typer.Option(
            "--role",
            help="What it allows: to see jobs (read), to enqueue and change them, too (enqueue),"
            " everything (admin), or only to fetch uploads (worker).",
        ),
    ],
    targets: Annotated[
        list[str] | None,
        typer.Option(
            "--target",
            metavar="PATTERN",
            help="The registry/repository that it is for, as reg.example.com/team/*; may be"
            " repeated.",
        ),
    ] = None,
) -> None:
    """Make a token for the HTTP API."""
    token = new_token()
    try:
        made = ApiToken(role=role, targets=tuple(targets or ()), sha256=hash_of(token))
        tokens = _tokens.validate_python({**settings_of(context).api_tokens, name: made})
    except ValidationError as error:
        raise BadInputError(f"token {name}: {_what(error)}") from None
    value = _tokens.dump_json(tokens, exclude_defaults=True).decode()
    typer.echo("push-queue: give the server the new PUSH_QUEUE_API_TOKENS:", err=True)
    typer.echo(value, err=True)
    typer.echo(token)


def _what(error: ValidationError) -> str:
    return summarize(error, lambda path: path or "options")
