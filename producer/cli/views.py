"""Showing jobs as they go: bars on a terminal, plain lines elsewhere, JSON for programs."""

from collections.abc import Sequence
from types import TracebackType
from typing import Protocol, Self

import typer
from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

from producer.cli.output import as_json, print_json
from producer.cli.wording import STATE_COLORS, headline, progress
from push_queue import BlobStatus, JobState, JobStatus

DIGEST_WIDTH = len("sha256:") + 12
NOTE_WIDTH = len("uploaded")
TROUBLE = (JobState.RETRYING, JobState.FAILED)
ROOMY = 120
"""Columns of a terminal from which on a job's bar says where it goes."""
PLAIN_STEPS = 10
"""Plain output writes a line at each tenth of a job."""


class View(Protocol):
    """Shows jobs between entering and leaving it."""

    wants_blobs: bool

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...

    def show(self, job: JobStatus, blobs: Sequence[BlobStatus]) -> None: ...


def choose_view(*, json: bool, single: bool) -> View:
    """The view for this terminal; ``single`` jobs show a bar for each blob."""
    if json:
        return JsonView()
    console = Console(stderr=True)
    return BarView(console, per_blob=single) if console.is_terminal else PlainView()


class _NothingToLeave:
    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        return


class JsonView(_NothingToLeave):
    """One object a line on standard output, at each change."""

    wants_blobs = False

    def show(self, job: JobStatus, blobs: Sequence[BlobStatus]) -> None:
        print_json(as_json(job), indent=None)


class SilentView(_NothingToLeave):
    """Nothing: the result alone counts."""

    wants_blobs = False

    def show(self, job: JobStatus, blobs: Sequence[BlobStatus]) -> None:
        return


class PlainView(_NothingToLeave):
    """A line on standard error for each change of state and each tenth of the way."""

    wants_blobs = False

    def __init__(self) -> None:
        self._shown: dict[str, tuple[str, int]] = {}

    def show(self, job: JobStatus, blobs: Sequence[BlobStatus]) -> None:
        state = headline(job)
        step = job.bytes_done * PLAIN_STEPS // job.bytes_total if job.bytes_total else 0
        known, known_step = self._shown.get(job.id, ("", 0))
        if state != known:
            typer.echo(f"{job.id} {state}", err=True)
        elif step > known_step:
            typer.echo(f"{job.id} {progress(job)}", err=True)
        self._shown[job.id] = (state, step)


class BarView:
    """Bars on standard error: one for each job, or for each blob of a single one."""

    def __init__(self, console: Console, *, per_blob: bool) -> None:
        self.wants_blobs = per_blob
        self._bars: dict[str, TaskID] = {}
        self._troubles: dict[str, str] = {}
        self._progress = Progress(
            TextColumn("{task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=None, table_column=Column(ratio=1)),
            DownloadColumn(table_column=Column(no_wrap=True)),
            TransferSpeedColumn(table_column=Column(no_wrap=True)),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[note]}", table_column=Column(min_width=NOTE_WIDTH)),
            console=console,
            expand=True,
        )

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._progress.stop()

    def show(self, job: JobStatus, blobs: Sequence[BlobStatus]) -> None:
        trouble = headline(job) if job.state in TROUBLE or job.waiting_for else ""
        if trouble and self._troubles.get(job.id) != trouble:
            self._progress.console.print(Text(f"{job.id} {trouble}"))
        self._troubles[job.id] = trouble
        name = f"[{STATE_COLORS[job.state]}]{job.state:<9}[/] {job.id}{self._where(job)}"
        self._set(job.id, name, job.bytes_done, job.bytes_total, "")
        for blob in blobs:
            self._set(blob.digest, blob.digest[:DIGEST_WIDTH], blob.done, blob.size, blob.how)

    def _where(self, job: JobStatus) -> str:
        """The targets, where there is room for them beside the bars."""
        if self._progress.console.width < ROOMY:
            return ""
        first, *others = job.targets
        return escape(f" {first}" + (f" +{len(others)}" if others else ""))

    def _set(self, key: str, name: str, done: int, total: int, note: str) -> None:
        if key not in self._bars:
            self._bars[key] = self._progress.add_task(name, total=None, note="")
        self._progress.update(
            self._bars[key], description=name, completed=done, total=total or None, note=note
        )
