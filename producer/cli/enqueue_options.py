"""Options of ``push-queue enqueue`` alone."""

from typing import Annotated, TypeAlias

import typer

from push_queue.models.job import Priority

TarsArgument: TypeAlias = Annotated[
    list[str],
    typer.Argument(
        metavar="TAR",
        help="Image tars or folders of OCI layouts: paths, URLs, or - for a pipe to --server.",
    ),
]
OriginalTagsOption: TypeAlias = Annotated[
    bool, typer.Option("--original-tags", help="Push under the tags that are in the tar.")
]
RegistryOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--registry",
        metavar="HOST",
        help="The registry that --original-tags go to: host or host:port.",
    ),
]
RemotePathOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--remote-path", help="TAR is a path on the workers' machines; do not look for it here."
    ),
]
JobIdOption: TypeAlias = Annotated[
    str | None,
    typer.Option(
        "--id", metavar="ID", help="Your own id; the same job again is not enqueued twice."
    ),
]
PriorityOption: TypeAlias = Annotated[
    Priority,
    typer.Option(
        "--priority", help="Each step up overtakes jobs enqueued up to 15 minutes before."
    ),
]
DelayOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--delay", metavar="TIME", help="Start no earlier than 90s, 5m, 2h30m from now."),
]
AtOption: TypeAlias = Annotated[
    str | None,
    typer.Option("--at", metavar="TIME", help="Start no earlier than 2026-01-31T09:30."),
]
OrderedOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--ordered/--unordered",
        help="Leave alone, or overwrite, tags that a job enqueued later has written.",
    ),
]
CleanupOption: TypeAlias = Annotated[
    bool,
    typer.Option(
        "--cleanup",
        help="Have a worker delete the tar once all jobs with it have succeeded; workers have to "
        "have PUSH_QUEUE_SOURCE_ROOTS.",
    ),
]
MaxAttemptsOption: TypeAlias = Annotated[
    int | None,
    typer.Option(
        "--max-attempts",
        metavar="N",
        help="Attempts before the job fails; else PUSH_QUEUE_MAX_ATTEMPTS.",
    ),
]
LabelOption: TypeAlias = Annotated[
    list[str] | None,
    typer.Option(
        "--label",
        metavar="NAME=VALUE",
        help="Kept with the job, to find it by; may be repeated.",
    ),
]
WaitOption: TypeAlias = Annotated[
    bool,
    typer.Option("--wait", help="Wait until the jobs have ended; exit with 1 if one failed."),
]
