"""Options that several commands share."""

from pathlib import Path
from typing import Annotated, TypeAlias

import typer

from producer.cli.exits import BadInputError
from push_queue.models import Compression
from push_queue.settings import Settings, doubts, load_settings
from registry_api_v2_client.hosts import is_loopback

JobIdsArgument: TypeAlias = Annotated[list[str], typer.Argument(metavar="ID", help="Ids of jobs.")]
TimeoutOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--timeout", metavar="TIME", help="Wait no longer than 90s, 10m, 2h; exit 4 then."
    ),
]
JsonOption: TypeAlias = Annotated[
    bool, typer.Option("--json", help="Write JSON to standard output.")
]
ImageOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--image", metavar="TAG", help="Which image of a tar with several: its tag or digest there."
    ),
]
PlatformOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--platform",
        metavar="OS/ARCH",
        help="The image for one platform, such as linux/arm64, rather than all of an index.",
    ),
]
CompressionOption: TypeAlias = Annotated[
    Compression,
    typer.Option(
        "--compression",
        help="Compress layers that are not compressed yet, or keep all as they are.",
    ),
]
PortOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--port", min=0, max=65535, help="0 is any that is free; else PUSH_QUEUE_API_PORT."
    ),
]
GiveUpAfterOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--give-up-after",
        metavar="TIME",
        help="Go on for 90s, 10m, 2h with a registry that is away.",
    ),
]
NoCacheOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--no-cache",
        help="Compress all layers anew: heed no earlier push, nor what the tag stands for.",
    ),
]
TarArgument: TypeAlias = Annotated[
    Path, typer.Argument(metavar="TAR", help="An image tar: docker save or OCI layout.")
]
TargetsOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--to", metavar="REF", help="registry/repository:tag; may be repeated."),
]


def check_loopback(host: str) -> None:
    """Refuse to listen where others than this machine could call.

    Raises:
        BadInputError: naming the host.
    """
    if not is_loopback(host):
        raise BadInputError(
            f"cannot serve at {host}: callers are not told apart yet, so only this machine may "
            "call; use 127.0.0.1"
        )


def settings_of(context: typer.Context) -> Settings:
    """The settings of this run: the environment, and ``--redis-url`` before it."""
    settings = load_settings(redis_url=context.obj)
    for doubt in doubts():
        typer.echo(f"push-queue: warning: {doubt}", err=True)
    return settings
