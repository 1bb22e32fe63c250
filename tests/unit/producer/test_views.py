import io
import json
from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from producer.cli import tables
from producer.cli.bars import BarView
from producer.cli.job_table import print_table
from producer.cli.output import print_job, print_notes
from producer.cli.verify import print_parts
from producer.cli.views import JsonView, PlainView, choose_view
from producer.cli.wording import headline
from push_queue.models.job_status import (
    Attempt,
    BlobStatus,
    JobState,
    JobStatus,
    Outcome,
    TargetResult,
)
from registry_api_v2_client import PartCheck, Proof, Verdict

NOW = datetime(2026, 1, 31, 9, 30, tzinfo=UTC)
DIGEST = "sha256:" + "d" * 64
TARGET = "localhost:15000/app:1"


def a_job(state: JobState = JobState.RUNNING, **fields: object) -> JobStatus:
    values = {
        "id": "job-1",
        "source": "/images/[app].tar",
        "targets": (TARGET,),
        "sequence": 1,
        "attempt": 1,
        "worker": "host:7",
        "enqueued_at": NOW,
        "state": state,
    }
    return JobStatus.model_validate(values | fields)


def with_progress(done: int) -> JobStatus:
    return a_job(bytes_done=done, bytes_total=1000, blobs_done=1, blobs_total=3)


def test_plain_lines_tell_states_and_tenths(capsys: pytest.CaptureFixture[str]) -> None:
    with PlainView() as view:
        view.show(a_job(JobState.QUEUED), ())
        for done in (0, 40, 120, 130, 990):
            view.show(with_progress(done), ())
        view.show(a_job(JobState.SUCCEEDED, digest=DIGEST), ())
    output = capsys.readouterr()
    assert output.out == ""
    assert output.err.splitlines() == [
        f"job-1 queued: /images/[app].tar to {TARGET}",
        "job-1 running on host:7 (attempt 1 of 5)",
        "job-1 12 %, 120 bytes of 1.0 kB, 1 of 3 blobs",
        "job-1 99 %, 990 bytes of 1.0 kB, 1 of 3 blobs",
        f"job-1 succeeded: {DIGEST}",
    ]


@pytest.mark.parametrize(
    ("job", "line"),
    [
        (
            a_job(JobState.RETRYING, error="refused", error_kind="registry_unavailable"),
            "job-1 retrying: refused (registry_unavailable)",
        ),
        (a_job(JobState.FAILED, error="no", error_kind="denied"), "job-1 failed: no (denied)"),
        (a_job(JobState.CANCELLED), "job-1 cancelled"),
        (a_job(cancel_requested=True), "job-1 running: its worker was asked to stop"),
    ],
)
def test_plain_lines_say_why(job: JobStatus, line: str, capsys: pytest.CaptureFixture[str]) -> None:
    PlainView().show(job, ())
    assert capsys.readouterr().err == f"{line}\n"


def test_plain_lines_say_once_what_a_job_waits_for(capsys: pytest.CaptureFixture[str]) -> None:
    view = PlainView()
    waits = a_job(JobState.QUEUED, waiting_for="reg is away", give_up_at=NOW)
    failed = a_job(JobState.FAILED, error="reg is away", error_kind="registry_unavailable")
    until = "2026-01-31 09:30:00 UTC"
    for _ in range(3):
        view.show(waits, ())
        view.show(a_job(), ())
    view.show(failed, ())
    view.show(failed, ())
    for again in (waits, a_job()):  # It was enqueued again.
        view.show(again, ())
    waiting = f"job-1 queued: reg is away; tried again until {until}"
    running = "job-1 running on host:7 (attempt 1 of 5)"
    assert capsys.readouterr().err.splitlines() == [
        *(waiting, running),
        "job-1 failed: reg is away (registry_unavailable)",
        *(waiting, running),
    ]


@pytest.mark.parametrize("state", [JobState.FAILED, JobState.CANCELLED, JobState.SUPERSEDED])
def test_how_a_push_went_wrong_may_be_left_to_the_command(
    state: JobState, capsys: pytest.CaptureFixture[str]
) -> None:
    ended = a_job(state, error="refused", error_kind="denied")
    PlainView(tell_failure=False).show(ended, ())
    assert capsys.readouterr().err == ""
    screen = Screen(80)
    with BarView(screen.console, per_blob=True, tell_failure=False) as view:
        view.show(ended, ())
    assert "refused" not in screen.text
    assert state in screen.text


def test_json_is_one_object_a_line(capsys: pytest.CaptureFixture[str]) -> None:
    with choose_view(json=True, single=True) as view:
        view.show(a_job(), ())
        view.show(with_progress(5), ())
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["bytes_done"] for line in lines] == [0, 5]


def test_without_a_terminal_lines_are_plain(capsys: pytest.CaptureFixture[str]) -> None:
    assert isinstance(choose_view(json=False, single=True), PlainView)
    assert isinstance(choose_view(json=True, single=True), JsonView)


@pytest.mark.parametrize(("kind", "view"), [("xterm", BarView), ("dumb", PlainView)])
def test_bars_need_a_terminal_that_moves_its_cursor(
    kind: str, view: type, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", kind)
    monkeypatch.setattr("sys.stderr.isatty", lambda: True)
    assert isinstance(choose_view(json=False, single=True), view)


BLOBS = (
    BlobStatus(digest="sha256:" + "a" * 64, size=600, done=600, how="uploaded"),
    BlobStatus(digest="sha256:" + "b" * 64, size=400, done=100),
)


SHOW_CURSOR = "\x1b[?25h"


class Screen:
    """What a terminal was sent."""

    def __init__(self, width: int, height: int = 24) -> None:
        self._sent = io.StringIO()
        self.console = Console(
            file=self._sent, force_terminal=True, width=width, height=height, color_system=None
        )

    @property
    def text(self) -> str:
        return self._sent.getvalue().removesuffix(SHOW_CURSOR)

    def last_frame(self, height: int) -> list[str]:
        return self.text.splitlines()[-height:]


@pytest.mark.parametrize("width", [80, 120])
def test_bars_show_the_job_and_each_blob(width: int) -> None:
    screen = Screen(width)
    with BarView(screen.console, per_blob=True) as view:
        view.show(a_job(JobState.RETRYING, error="refused", error_kind="tls"), ())
        view.show(with_progress(700), BLOBS)
    assert "job-1 retrying: refused (tls)" in screen.text
    *job, done, going = screen.text.rsplit("running", 1)[1].splitlines()
    assert "job-1" in job[0]
    assert "0.7/1.0 kB" in job[0]
    assert TARGET in "".join(job)
    assert done.startswith("sha256:aaaaaaaaaaaa")
    assert done.rstrip().endswith("uploaded")
    assert "100/400 bytes" in going


def test_what_has_ended_shows_no_rate_and_no_time_that_is_left() -> None:
    screen = Screen(120)
    sizes = (BLOBS[0].model_copy(update={"done": done, "how": ""}) for done in (0, 300, 600))
    with BarView(screen.console, per_blob=True) as view:
        for blob in sizes:
            view.show(with_progress(blob.done), (blob,))
    done = screen.text.rsplit("sha256:", 1)[1]
    assert done.rstrip().endswith("600/600 bytes")


def test_a_narrow_terminal_has_id_and_target_and_per_cent() -> None:
    screen = Screen(60)
    long = {"id": "i" * 26, "targets": (f"{TARGET}-{'x' * 60}",)}
    with BarView(screen.console, per_blob=True) as view:
        view.show(with_progress(700).model_copy(update=long), BLOBS)
    name, target, done, going = screen.last_frame(4)
    assert name.split()[1:3] == ["i" * 26, "70%"]
    assert target.strip().startswith("…")
    assert target.strip().endswith("x" * 30)
    assert done.split()[1] == "100%"
    assert going.split()[1] == "25%"


@pytest.mark.parametrize("width", [44, 58, 59, 60, 61, 79, 80, 119, 120, 200])
def test_ids_are_whole_beside_what_there_is_room_for(width: int) -> None:
    screen = Screen(width)
    job = with_progress(700).model_copy(update={"id": "i" * 26, "targets": ("r/" + "a" * 300,)})
    with BarView(screen.console, per_blob=False) as view:
        view.show(job, ())
    name, target = (line.split("\x1b[2K")[-1] for line in screen.last_frame(2))
    assert " " + "i" * 26 + " " in name
    assert ("70%" in name) is not ("0.7/1.0 kB" in name)
    assert target.startswith("  …a")
    assert max(len(name), len(target)) < width, "room for an echo of Ctrl-C"


def jobs(count: int, state: JobState, **fields: object) -> list[JobStatus]:
    return [a_job(state, id=f"{state}-{number}", **fields) for number in range(count)]


def test_more_jobs_than_lines_show_those_that_run_first() -> None:
    screen = Screen(120, height=10)
    with BarView(screen.console, per_blob=False) as view:
        for job in (*jobs(30, JobState.QUEUED), *jobs(3, JobState.RUNNING)):
            view.show(job, ())
    *rows, more = screen.last_frame(9)
    assert sum("running-" in row for row in rows) == 3
    assert sum("queued-" in row for row in rows) == 5
    assert more == "… and 25 more"


def test_what_jobs_wait_for_is_said_once() -> None:
    screen = Screen(120)
    with BarView(screen.console, per_blob=False) as view:
        for _ in range(2):
            for job in jobs(3, JobState.QUEUED, waiting_for="localhost:15000 is down"):
                view.show(job, ())
                view.show(a_job(JobState.RUNNING, id=job.id), ())
    assert screen.text.count("localhost:15000 is down") == 1


def test_a_job_that_is_put_off_says_until_when() -> None:
    screen = Screen(60)
    with BarView(screen.console, per_blob=False) as view:
        view.show(a_job(JobState.QUEUED, next_attempt_at=NOW), ())
    assert "job-1 queued until 2026-01-31 09:30:00 UTC" in screen.text


def test_a_job_in_full(capsys: pytest.CaptureFixture[str]) -> None:
    job = a_job(
        JobState.SUCCEEDED,
        image="app:1",
        labels={"branch": "main"},
        digest=DIGEST,
        results=(TargetResult(target=TARGET, outcome="pushed", digest=DIGEST),),
        started_at=NOW,
        finished_at=NOW + timedelta(seconds=200),
        enqueued_by="ci",
        retried_by="operator",
        bytes_done=1000,
        bytes_total=1000,
        blobs_done=1,
        blobs_total=1,
    )
    attempt = Attempt(
        number=1, worker="host:7", started_at=NOW, finished_at=NOW + timedelta(seconds=2),
        outcome=Outcome.FAILED, error="refused", error_kind="registry_unavailable",
    )  # fmt: skip
    print_job(job, [BlobStatus(digest=DIGEST, size=9, done=3)], [attempt, attempt])
    assert capsys.readouterr().out.splitlines() == [
        "Job         job-1",
        f"State       succeeded: {DIGEST}",
        "Source      /images/[app].tar (app:1)",
        f"Targets     {TARGET}  {DIGEST}",
        "Labels      branch=main",
        "Progress    100 %, 1.0 kB of 1.0 kB, 1 of 1 blobs",
        f"Blobs       {DIGEST}  3 of 9 bytes",
        "Enqueued    2026-01-31 09:30:00 UTC",
        "By          ci (enqueued)",
        "            operator (retried)",
        "Started     2026-01-31 09:30:00 UTC, 3 min 20 s",
        "Attempts    1  failed after 2.0 s on host:7: refused (registry_unavailable)",
        "            1  failed after 2.0 s on host:7: refused (registry_unavailable)",
    ]


DRIVING = "a\tb\n\x1b]0;title\x07"
HARMLESS = r"a\tb\n\x1b]0;title\x07"


def test_nothing_in_a_job_drives_the_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    job = a_job(JobState.QUEUED, source=f"/{DRIVING}", labels={"x": DRIVING}, notes=(DRIVING,))
    failed = a_job(JobState.FAILED, error=DRIVING, error_kind="denied")
    print_job(job, (), ())
    print_table([job])
    print_notes(job)
    PlainView().show(failed, ())
    output = "".join(capsys.readouterr())
    assert output.count(HARMLESS) == 7
    assert DRIVING not in output
    assert "\x1b" not in output


@pytest.mark.parametrize(
    ("no_color", "kind", "coloured"),
    [("", "xterm", True), ("1", "xterm", False), ("", "dumb", False)],
)
def test_a_state_has_a_colour_unless_none_is_wanted(
    no_color: str, kind: str, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("NO_COLOR", no_color)
    monkeypatch.setenv("TERM", kind)
    printed: list[str] = []
    monkeypatch.setattr("typer.echo", printed.append)
    print_job(a_job(JobState.QUEUED, next_attempt_at=NOW), (), ())
    (state,) = (line for line in printed if line.startswith("State"))
    assert ("\x1b[33mqueued\x1b[0m until" in state) is coloured
    assert state.replace("\x1b[33m", "").replace("\x1b[0m", "") == (
        "State       queued until 2026-01-31 09:30:00 UTC"
    )


def test_a_list_without_a_terminal_is_tab_separated(capsys: pytest.CaptureFixture[str]) -> None:
    print_table([with_progress(420)])
    header, row = capsys.readouterr().out.splitlines()
    assert header.split("\t")[:3] == ["JOB", "STATE", "DONE"]
    assert row.split("\t") == [
        "job-1", "running", "42 %", "1/5", "2026-01-31 09:30:00 UTC", TARGET, "/images/[app].tar"
    ]  # fmt: skip


def table_on_a_terminal(width: int, job: JobStatus, monkeypatch: pytest.MonkeyPatch) -> str:
    screen = io.StringIO()
    terminal = Console(file=screen, force_terminal=True, width=width, color_system=None)
    monkeypatch.setattr(tables, "Console", lambda: terminal)
    print_table([job])
    return screen.getvalue()


def test_a_list_on_a_terminal_takes_no_text_for_markup(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "/images/[app].tar" in table_on_a_terminal(200, a_job(), monkeypatch)


@pytest.mark.parametrize(
    ("width", "kept"),
    [
        (120, "JOB STATE DONE ATTEMPT ENQUEUED TARGETS SOURCE"),
        (60, "JOB STATE DONE ATTEMPT TARGETS"),
    ],
)
def test_a_narrow_list_keeps_ids_and_targets(
    width: int, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    header, row = table_on_a_terminal(width, a_job(), monkeypatch).splitlines()
    assert header.split() == kept.split()
    assert row.startswith("job-1")
    assert TARGET in row


@pytest.mark.parametrize("width", [20, 60])
def test_where_a_row_has_no_room_ids_and_targets_stay_whole(
    width: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    targets = (TARGET, f"{TARGET}-{'x' * 60}")
    job = a_job(id="i" * 40, targets=targets)
    assert table_on_a_terminal(width, job, monkeypatch).splitlines() == [
        f"{'i' * 40}  running",
        *(f"  {target}" for target in targets),
    ]


def test_each_target_has_a_line_in_a_list(monkeypatch: pytest.MonkeyPatch) -> None:
    targets = (TARGET, f"{TARGET}.1")
    _, *lines = table_on_a_terminal(60, a_job(targets=targets), monkeypatch).splitlines()
    assert [line.split()[-1] for line in lines] == list(targets)


def test_a_list_counts_the_cells_of_wide_characters(monkeypatch: pytest.MonkeyPatch) -> None:
    job = a_job(source="/images/앱.tar")
    width = 100
    while "SOURCE" in table_on_a_terminal(width, job, monkeypatch):
        assert "/images/앱.tar" in table_on_a_terminal(width, job, monkeypatch)
        width -= 1


def test_a_retrying_job_that_waits_says_what_for() -> None:
    answered = {"error": "localhost:15000 answers 500", "error_kind": "registry_error"}
    waiting = a_job(JobState.RETRYING, waiting_for="localhost:15000 is down", **answered)
    assert headline(waiting) == "retrying: localhost:15000 is down"
    retrying = a_job(JobState.RETRYING, **answered)
    assert headline(retrying) == "retrying: localhost:15000 answers 500 (registry_error)"


@pytest.mark.parametrize(
    ("width", "kept"),
    [(100, "PART TAR REGISTRY SIZE RESULT PROVEN BY"), (60, "PART TAR REGISTRY RESULT"),
     (20, "PART RESULT")],
)  # fmt: skip
def test_a_narrow_verification_keeps_the_results(
    width: int, kept: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    screen = Screen(width)
    monkeypatch.setattr(tables, "Console", lambda: screen.console)
    layer = PartCheck("layer 1", DIGEST, DIGEST, 90_000, Verdict.CORRUPT, Proof.CONTENT)
    print_parts([layer])
    header, row = screen.text.splitlines()
    assert header.split() == kept.split()
    assert "layer 1" in row
    assert "corrupt" in row
    assert "…" not in row
