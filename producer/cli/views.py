"""Showing jobs as they go: bars on a terminal, plain lines elsewhere, JSON for programs."""

from collections.abc import Sequence
from typing import Protocol, Self

import typer

from producer.cli.output import as_json, print_json
from producer.cli.wording import headline, progress
from push_queue.models.job_status import BlobStatus, JobState, JobStatus
from push_queue.terminal import stderr_is_terminal

NOT_PUSHED = (JobState.FAILED, JobState.CANCELLED, JobState.SUPERSEDED)
PLAIN_STEPS = 10
"""Plain output writes a line at each tenth of a job."""


class View(Protocol):
    """Shows jobs between entering and leaving it."""

    wants_blobs: bool

    def __enter__(self) -> Self: ...

    def __exit__(self, *_: object) -> None: ...

    def show(self, job: JobStatus, blobs: Sequence[BlobStatus]) -> None: ...


def choose_view(*, json: bool, single: bool, tell_failure: bool = True) -> View:
    """The view for this terminal; ``single`` jobs show a bar for each blob.

    Without ``tell_failure`` it leaves it to the command to say how a job ended that did not push.
    """
    if json:
        return JsonView()
    if not stderr_is_terminal():
        return PlainView(tell_failure=tell_failure)
    # Loaded here: views without bars load faster.
    from rich.console import Console
    from rich.theme import Theme

    from producer.cli.bars import COLORS, BarView

    console = Console(stderr=True, theme=Theme(COLORS))
    # Where the cursor cannot be moved, bars would be shown at the end alone.
    if not console.is_terminal or console.is_dumb_terminal:
        return PlainView(tell_failure=tell_failure)
    return BarView(console, per_blob=single, tell_failure=tell_failure)


class _NothingToLeave:
    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        return


class JsonView(_NothingToLeave):
    """One object a line on standard output, at each change."""

    wants_blobs = False

    def show(self, job: JobStatus, blobs: Sequence[BlobStatus]) -> None:
        print_json(as_json(job), indent=None)


class SilentView(_NothingToLeave):
    """Shows nothing: only the result counts."""

    wants_blobs = False

    def show(self, job: JobStatus, blobs: Sequence[BlobStatus]) -> None:
        return


class PlainView(_NothingToLeave):
    """A line on standard error for each change of state and each tenth of the way.

    What a job has said already it does not say again, as while it waits and tries over and over.
    """

    wants_blobs = False

    def __init__(self, *, tell_failure: bool = True) -> None:
        self._tell_failure = tell_failure
        self._told: dict[str, set[str]] = {}
        self._steps: dict[str, int] = {}

    def show(self, job: JobStatus, blobs: Sequence[BlobStatus]) -> None:
        if job.state in NOT_PUSHED and not self._tell_failure:
            return
        state, told = headline(job), self._told.setdefault(job.id, set())
        step = job.bytes_done * PLAIN_STEPS // job.bytes_total if job.bytes_total else 0
        if state not in told:
            typer.echo(f"{job.id} {state}", err=True)
        elif step > self._steps[job.id]:
            typer.echo(f"{job.id} {progress(job)}", err=True)
        if job.state.final:
            told.clear()  # It may be enqueued again.
        told.add(state)
        self._steps[job.id] = step
