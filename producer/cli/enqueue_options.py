"""Options of ``push-queue enqueue`` alone."""

from typing import Annotated, TypeAlias

import typer

from push_queue.models.job import Priority

TarsArgument: TypeAlias = Annotated[
    list[str],
    typer.Argument(metavar="TAR", help="Image tars or folders of OCI layouts; path or URL."),
]
OriginalTagsOption: TypeAlias = Annotated[
    bool, typer.Option("--original-tags", help="Push under the tags that are in the tar.")
]
RegistryOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--registry", metavar="HOST", help="Where --original-tags go: host:port."),
]
RemotePathOption: TypeAlias = Annotated[
    bool,
    typer.Option("--remote-path", help="TAR is a path of the workers; do not look for it here."),
]
JobIdOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--id", metavar="ID", help="Your own id; the same job is enqueued once."),
]
PriorityOption: TypeAlias = Annotated[
    Priority,
    typer.Option("--priority", help="Overtakes lower ones enqueued up to 15 minutes before."),
]
DelayOption: TypeAlias = Annotated[
    str | None, typer.Option("--delay", metavar="TIME", help="Start after 90s, 5m, 2h30m.")
]
AtOption: TypeAlias = Annotated[
    str | None, typer.Option("--at", metavar="TIME", help="Start at 2026-01-31T09:30.")
]
OrderedOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--ordered/--unordered",
        help="Whether to leave tags alone that a job enqueued later has written.",
    ),
]
CleanupOption: TypeAlias = Annotated[
    bool, typer.Option("--cleanup", help="Have the worker delete the tar after success.")
]
MaxAttemptsOption: TypeAlias = Annotated[
    int | None, typer.Option("--max-attempts", metavar="N", help="Tries before it fails.")
]
LabelOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option("--label", metavar="NAME=VALUE", help="Kept with the job; may be repeated."),
]
WaitOption: TypeAlias = Annotated[
    bool, typer.Option("--wait", help="Wait for the end; exit 1 if a push failed.")
]
