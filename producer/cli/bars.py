"""Bars on a terminal."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import NamedTuple, Self

from rich.cells import cell_len
from rich.console import Console, RenderableType
from rich.constrain import Constrain
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TaskProgressColumn,
    TextColumn,
    TimeRemainingColumn,
    TransferSpeedColumn,
)
from rich.table import Column
from rich.text import Text

from producer.cli.wording import STATE_COLORS, headline
from push_queue.models.job_status import BlobStatus, JobState, JobStatus

DIGEST_WIDTH = len("sha256:") + 12
STATE_WIDTH = max(map(len, JobState))
NOTE_WIDTH = len("uploaded")
ECHO_WIDTH = len("^C")
ID_WIDTH = 26
LEAST_NAME = STATE_WIDTH + 1 + ID_WIDTH
"""Cells for a job's name with a whole id."""
TROUBLE = (JobState.RETRYING, JobState.FAILED)
RANKS = {JobState.RUNNING: 0, JobState.RETRYING: 1, JobState.QUEUED: 2}
"""Which jobs to show if the terminal has too few lines for all; finished ones come last."""
LAST = len(RANKS)

COLORS = {
    "bar.complete": STATE_COLORS[JobState.RUNNING],
    "bar.finished": STATE_COLORS[JobState.SUCCEEDED],
    "progress.data.speed": "default",
    "progress.download": "default",
    "progress.percentage": "default",
    "progress.remaining": "default",
}
"""In place of Rich's, whose red is for errors here."""

Name = Callable[[int], Text]
"""What a row is about, shortened to a number of cells if possible."""


class BarView:
    """Bars on standard error: one for each job, or for each blob of a single one."""

    def __init__(self, console: Console, *, per_blob: bool, tell_failure: bool = True) -> None:
        self.wants_blobs = per_blob
        self._trouble = TROUBLE if tell_failure else (JobState.RETRYING,)
        self._rows: dict[str, TaskID] = {}
        self._told: dict[str, str] = {}
        self._bars = _Bars(console)

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bars.stop()

    def show(self, job: JobStatus, blobs: Sequence[BlobStatus]) -> None:
        self._tell(job)
        name = partial(_name_of_job, job)
        rank = RANKS.get(job.state, LAST)
        note = "waits" if job.waiting_for else ""
        self._set(job.id, name, rank, job.bytes_done, job.bytes_total, note)
        for blob in blobs:
            name = partial(_name_of_blob, blob)
            self._set(blob.digest, name, LAST if blob.how else 0, blob.done, blob.size, blob.how)

    def _tell(self, job: JobStatus) -> None:
        """What a bar cannot show: once, and for only one of the jobs with the same wait."""
        if job.state.final:
            self._told = {what: whose for what, whose in self._told.items() if whose != job.id}
        line = f"{job.id} {headline(job)}"
        if not (job.waiting_for or job.state in self._trouble or _is_put_off(job)):
            return
        what = job.waiting_for or line
        if what not in self._told:
            self._told[what] = job.id
            self._bars.console.print(Text(line))

    def _set(self, key: str, name: Name, rank: int, done: int, total: int, note: str) -> None:
        if key not in self._rows:
            self._rows[key] = self._bars.add_task("", total=None, name=name, rank=rank, note=note)
        self._bars.update(
            self._rows[key], completed=done, total=total or None, name=name, rank=rank, note=note
        )


def _is_put_off(job: JobStatus) -> bool:
    return job.state is JobState.QUEUED and job.next_attempt_at is not None


class Layout(NamedTuple):
    """What a row has beside its name on a terminal of at least ``least_width`` columns."""

    least_width: int
    beside_name: int
    """Cells, with the gaps, and a short bar if there is one."""
    columns: tuple[ProgressColumn, ...]


class _Bars(Progress):
    """As many rows as the terminal has lines for, in as many columns as it has room for."""

    def __init__(self, console: Console) -> None:
        self._terminal = console
        name = _NameColumn(self._name)
        done = TaskProgressColumn(table_column=Column(no_wrap=True))
        left = _WhileItMoves(TimeRemainingColumn(compact=True))
        note = TextColumn("{task.fields[note]}", table_column=Column(min_width=NOTE_WIDTH))
        bar = BarColumn(bar_width=None, table_column=Column(ratio=1))
        size = DownloadColumn(table_column=Column(no_wrap=True))
        speed = _WhileItMoves(TransferSpeedColumn())
        self._layouts = (
            Layout(80, 55, (name, bar, size, speed, left, note)),
            Layout(LEAST_NAME + 22, 22, (name, done, left, note)),
            Layout(0, 7, (name, done)),
        )
        super().__init__(*self._layout.columns, console=console)

    @property
    def _layout(self) -> Layout:
        width = self._terminal.width
        return next(layout for layout in self._layouts if width >= layout.least_width)

    def get_renderables(self) -> Iterable[RenderableType]:
        self.columns = self._layout.columns
        # Only a bar makes use of all the width.
        self.expand = self._layout is self._layouts[0]
        tasks = self.tasks
        shown = self._fitting(tasks)
        # The terminal echoes Ctrl-C behind the last row; without room there, all rows would move.
        yield Constrain(self.make_tasks_table(shown), self._terminal.width - ECHO_WIDTH)
        if hidden := len(tasks) - len(shown):
            yield Text(f"… and {hidden} more")

    def _fitting(self, tasks: Sequence[Task]) -> list[Task]:
        left = self._terminal.height - 2
        shown = set()
        for task in sorted(tasks, key=lambda task: int(task.fields["rank"])):
            left -= len(self._name(task).plain.split("\n"))
            if left < 0:
                break
            shown.add(task.id)
        return [task for task in tasks if task.id in shown]

    def _name(self, task: Task) -> Text:
        layout, width = self._layout, self._terminal.width
        room = width - layout.beside_name
        name: Name = task.fields["name"]
        return name(max(LEAST_NAME, room) if layout.least_width else room)


class _WhileItMoves(ProgressColumn):
    """A rate or a time that is left, which what has ended or not begun does not have."""

    def __init__(self, column: ProgressColumn) -> None:
        super().__init__(Column(no_wrap=True))
        self._column = column

    def render(self, task: Task) -> RenderableType:
        if task.finished or task.speed is None:
            return Text()
        return self._column.render(task)


class _NameColumn(ProgressColumn):
    def __init__(self, name: Callable[[Task], Text]) -> None:
        super().__init__(Column(no_wrap=True))
        self._name = name

    def render(self, task: Task) -> Text:
        return self._name(task)


def _name_of_blob(blob: BlobStatus, _: int) -> Text:
    return Text(blob.digest[:DIGEST_WIDTH])


def _name_of_job(job: JobStatus, width: int) -> Text:
    """State, id and the first target, beside the id or below it; of a long target the end."""
    first, *others = job.targets
    target = first + (f" +{len(others)}" if others else "")
    name = Text.assemble((f"{job.state:<{STATE_WIDTH}}", STATE_COLORS[job.state]), f" {job.id}")
    name.truncate(width, overflow="ellipsis")
    if cell_len(name.plain) + 1 + cell_len(target) <= width:
        return name.append(f" {target}")
    room = width - 2
    return name.append(f"\n  {target if len(target) <= room else '…' + target[1 - room :]}")
