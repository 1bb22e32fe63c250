"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, NamedTuple, TypeAlias
from urllib.parse import urlsplit

import typer

from producer.cli.exits import BadInputError
from push_queue.models.job import Compression
from push_queue.settings import Settings, doubts, load_settings
from push_queue.settings.server_url import check_server_url, is_token
from registry_api_v2_client.hosts import is_loopback

JobIdsArgument: TypeAlias = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of jobs.")]
OptionalJobIdsArgument: TypeAlias = Annotated[
    list[str] | None,
    typer.Argument(metavar="ID", help="Ids of jobs; without any, all that match the options."),
]
TimeoutOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--timeout", metavar="TIME", help="Wait no longer than 90s, 10m, 2h, then exit with 4."
    ),
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write a JSON object to standard output.")
]
JsonArrayOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write a JSON array to standard output.")
]
JsonByIdsOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write JSON: an object if one ID is named, else an array.")
]
JsonLinesOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write a line of JSON at each change of a job.")
]
ImageOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--image",
        metavar="TAG",
        help="Which image, if the tar has several: its tag or digest in the tar.",
    ),
]
PlatformOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--platform",
        metavar="OS/ARCH",
        help="Of a multi-platform image, only the one for this platform, as linux/arm64.",
    ),
]
CompressionOption: TypeAlias = Annotated[
    Compression,
    typer.Option(
        "--compression",
        help="How to compress layers that are not compressed yet; keep sends all as they are.",
    ),
]
PortOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--port",
        metavar="PORT",
        min=0,
        max=65535,
        help="Port of the HTTP API, 0 for any free one; else PUSH_QUEUE_API_PORT.",
    ),
]
GiveUpAfterOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--give-up-after",
        metavar="TIME",
        help="How long to keep trying while a registry is down: 90s, 10m, 2h.",
    ),
]
NoCacheOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        help="Compress every layer again: reuse nothing from earlier pushes or the registry.",
    ),
]
TarArgument: TypeAlias = Annotated[
    str,
    typer.Argument(metavar="TAR", help="An image tar or the folder of an OCI layout: its path."),
]
TarOrUrlArgument: TypeAlias = Annotated[
    str,
    typer.Argument(
        metavar="TAR",
        help="An image tar or the folder of an OCI layout: its path or URL, or - for a pipe.",
    ),
]
TargetsOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="REF", help="registry/repository:tag; may be repeated."),
]


ServerOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--server",
        metavar="URL",
        help="Use the HTTP API of this server, not Redis; else PUSH_QUEUE_SERVER.",
    ),
]
TokenFileOption: TypeAlias = Annotated[
    Path | None,
    typer.Option(
        "--token-file",
        metavar="FILE",
        help="File with the token for --server; else PUSH_QUEUE_TOKEN.",
    ),
]


class Server(NamedTuple):
    """A server of the HTTP API."""

    url: str
    token: str | None


def server_of(
    context: typer.Context, settings: Settings, url: str | None, token_file: Path | None
) -> Server | None:
    """The server that was named, unless a Redis was named nearer.

    Raises:
        BadInputError: its URL or the file of the token cannot be used.
    """
    if url is None and not context.obj:
        url = settings.server
    if not url:
        if token_file:
            raise BadInputError("--token-file goes with --server")
        return None
    try:
        host = urlsplit(check_server_url(url)).netloc
    except ValueError as error:
        raise BadInputError(str(error)) from None
    secret = settings.token
    token = _token_in(token_file) if token_file else secret and secret.get_secret_value()
    if token and url.startswith("http:") and not is_loopback(host):
        typer.echo(
            f"push-queue: warning: the token goes to {host} unencrypted; use https", err=True
        )
    return Server(url, token or None)


def _token_in(path: Path) -> str:
    try:
        token = path.read_text().strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise BadInputError(f"--token-file {path} cannot be read: {reason}") from None
    if not token or not is_token(token):
        raise BadInputError(f"--token-file {path} holds no token")
    return token


def check_host(settings: Settings, host: str) -> None:
    """Refuse to listen where others than this machine could call, and need no token.

    Raises:
        BadInputError: naming the host.
    """
    if settings.api_open and not is_loopback(host):
        raise BadInputError(
            f"cannot serve at {host}: without PUSH_QUEUE_API_TOKENS or PUSH_QUEUE_API_OIDC only "
            "this machine may call; make tokens with `push-queue token`, or use 127.0.0.1"
        )


def settings_of(context: typer.Context) -> Settings:
    """The settings of this run: the environment, and ``--redis-url`` before it."""
    settings = load_settings(redis_url=context.obj)
    for doubt in doubts():
        typer.echo(f"push-queue: warning: {doubt}", err=True)
    return settings
