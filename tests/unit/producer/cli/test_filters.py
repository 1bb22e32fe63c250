"""``list``, ``cancel`` and ``retry`` of all jobs that match."""

import io
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

import pytest

from producer.cli import filters
from producer.cli.operate import bulk
from producer.cli.times import past_moment
from push_queue.models.assignments import Assignment
from push_queue.models.job import make_job
from push_queue.models.job_status import JobState
from tests.support.stores import Stores
from tests.unit.producer.cli.conftest import CommandLine, Done

REGISTRY = "reg.example.com:5000"
JOBS = {
    "a": {"targets": [f"{REGISTRY}/팀/app:1"], "labels": {"team": "가"}},
    "b": {"targets": [f"{REGISTRY}/other:1"], "labels": {"team": "나"}},
    "c": {"targets": ["localhost/팀/app:1", f"{REGISTRY}/x:1"], "labels": {"team": "가"}},
}


@pytest.fixture
def jobs(cli: CommandLine) -> CommandLine:
    """Three queued jobs."""

    async def create(stores: Stores) -> None:
        for job_id, fields in JOBS.items():
            await stores.jobs.create(make_job(id=job_id, source="/이미지.tar", **fields))

    cli.prepare(create)
    return cli


def fail(cli: CommandLine, kinds: Mapping[str, str]) -> None:
    async def work(stores: Stores) -> None:
        for job_id, kind in kinds.items():
            assignment = await stores.attempts.start(job_id, 0, "worker")
            assert isinstance(assignment, Assignment)
            await stores.attempts.fail(assignment, "no", kind)

    cli.prepare(work)


def ids(done: Done) -> list[str]:
    assert done.code == 0, done.err
    return [job["id"] for job in done.json]


def states(cli: CommandLine) -> dict[str, str]:
    return {job["id"]: job["state"] for job in cli.run("list", "--json").json}


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("options", "found"),
    [
        ((), ["c", "b", "a"]),
        (("--registry", REGISTRY), ["c", "b", "a"]),
        (("--registry", "localhost"), ["c"]),
        (("--repository", "팀/app"), ["c", "a"]),
        (("--registry", REGISTRY, "--repository", "팀/app"), ["a"]),
        (("--label", "team"), ["c", "b", "a"]),
        (("--label", "team=가"), ["c", "a"]),
        (("--label", "team=가", "--label", "other"), []),
        (("--label", "team", "--limit", "1", "--offset", "1"), ["b"]),
        (("--label", "team", "--offset", "2"), ["a"]),
        (("--error-kind", "denied"), ["b"]),
        (("--state", "failed"), ["b"]),
        (("--since", "1h"), ["c", "b", "a"]),
        (("--since", "2200-01-31T09:30"), []),
    ],
)
def test_jobs_are_listed_by_filter(
    jobs: CommandLine, options: tuple[str, ...], found: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    fail(jobs, {"b": "denied"})
    monkeypatch.setattr(filters, "PAGE", 2)
    assert ids(jobs.run("list", "--json", *options)) == found


def test_all_that_match_are_cancelled(jobs: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bulk, "PAGE", 1)
    done = jobs.run("cancel", "--label", "team=가", "--yes")
    assert (done.code, done.out) == (0, "c cancelled\na cancelled\n")
    assert done.err == "push-queue: 2 jobs cancelled\n"
    assert states(jobs) == {"a": "cancelled", "b": "queued", "c": "cancelled"}
    again = jobs.run("cancel", "--label", "team=가", "--yes", "--json")
    assert (again.json, again.err) == ([], "push-queue: 0 jobs cancelled\n")


def test_those_that_failed_are_enqueued_again(jobs: CommandLine) -> None:
    fail(jobs, {"a": "denied", "b": "rate_limited"})
    jobs.run("cancel", "c")
    done = jobs.run("retry", "--registry", REGISTRY, "--error-kind", "denied", "--yes", "--json")
    assert [(job["id"], job["state"], job["generation"]) for job in done.json] == [
        ("a", "queued", 1)
    ]
    assert ids(jobs.run("retry", "--state", "cancelled", "--yes", "--json")) == ["c"]
    assert ids(jobs.run("retry", "--registry", REGISTRY, "--yes", "--json")) == ["b"]


def test_an_array_of_many_is_written_page_by_page(
    jobs: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(bulk, "PAGE", 2)
    done = jobs.run("cancel", "--label", "team", "--yes", "--json")
    assert ids(done) == ["c", "b", "a"]
    shown = [JobState(job["state"]) for job in jobs.run("list", "--json").json]
    assert shown == [JobState.CANCELLED] * 3
    assert done.out == jobs.run("list", "--json").out


def test_a_dry_run_shows_them_and_changes_nothing(jobs: CommandLine) -> None:
    done = jobs.run("cancel", "--label", "team=가", "--dry-run")
    assert [line.split()[0] for line in done.out.splitlines()] == ["c", "a"]
    assert done.err == "push-queue: 2 jobs would be cancelled\n"
    assert set(states(jobs).values()) == {"queued"}


@pytest.mark.parametrize(("answer", "state"), [("y\n", "cancelled"), ("n\n", "queued")])
def test_on_a_terminal_it_is_asked_how_many_may_be_changed(
    jobs: CommandLine, monkeypatch: pytest.MonkeyPatch, answer: str, state: str
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(answer))
    done = jobs.run("cancel", "--label", "team=가")
    assert done.code == 0
    assert "2 jobs would be cancelled; go on? [y/N]" in done.err
    assert states(jobs) == {"a": state, "b": "queued", "c": state}


def test_nothing_is_asked_if_no_job_matches(
    jobs: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", Terminal())
    done = jobs.run("retry", "--label", "team")
    assert (done.code, done.out, done.err) == (0, "", "push-queue: no job matches\n")


def test_ctrl_d_agrees_to_nothing(jobs: CommandLine, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdin", Terminal(""))
    done = jobs.run("cancel", "--label", "team")
    assert done.code == 0
    assert done.err.endswith("go on? [y/N]:\npush-queue: nothing was changed\n")
    assert set(states(jobs).values()) == {"queued"}


def test_what_was_enqueued_after_the_question_stays(
    jobs: CommandLine, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def create(stores: Stores) -> None:
        await stores.jobs.create(make_job(id="new", source="/a", **JOBS["a"]))

    def agree(*_: object, **__: object) -> bool:
        import threading

        # The command's loop has ended, and the test's own is not in a coroutine.
        thread = threading.Thread(target=jobs.prepare, args=(create,))
        thread.start()
        thread.join()
        return True

    monkeypatch.setattr("sys.stdin", Terminal())
    monkeypatch.setattr("typer.confirm", agree)
    assert jobs.run("cancel", "--label", "team=가").code == 0
    assert states(jobs) == {"a": "cancelled", "b": "queued", "c": "cancelled", "new": "queued"}


def test_where_nobody_can_be_asked_it_has_to_be_said(jobs: CommandLine) -> None:
    for command in ("cancel", "retry"):
        said = jobs.fails(command, "--label", "team")
        assert said.startswith(f"{command} with a filter may change many jobs: add --yes")
    assert set(states(jobs).values()) == {"queued"}


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((), "say which jobs: by their ids, or by --state, --error-kind,"),
        (("--yes",), "say which jobs"),
        (("--dry-run",), "say which jobs"),
        (("a", "--label", "team"), "give either ids, or"),
        (("a", "--dry-run"), "give either ids, or"),
        (("--label", "=x", "--yes"), "--label: "),
        (("--registry", "", "--yes"), "--registry: "),
        (("--since", "yesterday", "--yes"), "--since 'yesterday' is neither a time such as 90s"),
        (("--since", "99999999999999d", "--yes"), "--since '99999999999999d' is too long"),
        (("--since", "999999d", "--yes"), "--since '999999d' is too long"),
    ],
)
@pytest.mark.parametrize("command", ["cancel", "retry"])
def test_what_cannot_be_meant_changes_nothing(
    jobs: CommandLine, command: str, arguments: tuple[str, ...], said: str
) -> None:
    assert jobs.fails(command, *arguments).startswith(said)
    assert set(states(jobs).values()) == {"queued"}


@pytest.mark.parametrize(("command", "state"), [("cancel", "failed"), ("retry", "queued")])
def test_a_state_that_stays_is_refused(jobs: CommandLine, command: str, state: str) -> None:
    said = jobs.fails(command, "--state", state, "--yes")
    assert said.startswith(f"state: a job that is {state} stays so; use ")


def test_a_time_ago_and_a_moment_say_since_when() -> None:
    ago = timedelta(minutes=90)
    earliest = datetime.now(UTC) - ago
    assert earliest <= past_moment("--since", "1h30m") <= datetime.now(UTC) - ago
    assert past_moment("--since", "2026-01-31T09:30+09:00") == datetime(
        2026, 1, 31, 0, 30, tzinfo=UTC
    )
