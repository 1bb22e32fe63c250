"""Bars on a terminal."""

from collections.abc import Sequence
from types import TracebackType
from typing import Self

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

from producer.cli.wording import STATE_COLORS, headline
from push_queue.models import BlobStatus, JobState, JobStatus

DIGEST_WIDTH = len("sha256:") + 12
NOTE_WIDTH = len("uploaded")
TROUBLE = (JobState.RETRYING, JobState.FAILED)
ROOMY = 120
"""Columns of a terminal from which on a job's bar says where it goes."""


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
