"""Times as they are typed."""

from datetime import UTC, datetime, timedelta, timezone

import pytest

from producer.cli.exits import BadInputError
from producer.cli.times import longest_wait, start_time


@pytest.mark.parametrize(
    ("text", "delay"),
    [
        ("90", timedelta(seconds=90)),
        ("90s", timedelta(seconds=90)),
        ("5m", timedelta(minutes=5)),
        ("2h30m", timedelta(hours=2, minutes=30)),
        ("1d", timedelta(days=1)),
    ],
)
def test_delays(text: str, delay: timedelta) -> None:
    assert start_time(text, None) == delay


def test_a_moment_with_its_offset() -> None:
    expected = datetime(2999, 1, 31, 9, 30, tzinfo=timezone(timedelta(hours=2)))
    assert start_time(None, "2999-01-31T09:30+02:00") == expected


def test_a_moment_without_offset_is_local() -> None:
    assert start_time(None, "2999-01-31T09:30") == datetime(2999, 1, 31, 9, 30).astimezone()


def test_the_minute_that_has_begun_is_not_the_past() -> None:
    # The next one if this one is half over: this machine may be busy.
    soon = datetime.now(UTC) + timedelta(seconds=30)
    minute = soon.replace(second=0, microsecond=0)
    assert start_time(None, minute.isoformat(timespec="minutes")) == minute


def test_at_once() -> None:
    assert start_time(None, None) is None


@pytest.mark.parametrize(
    ("delay", "at", "named"),
    [
        ("soon", None, "--delay 'soon'"),
        ("5m m", None, "--delay '5m m'"),
        ("-5", None, "--delay '-5'"),
        ("9" * 30, None, "too long"),
        (None, "2026-01-31T09:30", "in the past"),
        (None, "tomorrow", "--at 'tomorrow'"),
        ("5m", "2026-01-31T09:30", "exclude each other"),
    ],
)
def test_what_is_no_time_is_named(delay: str | None, at: str | None, named: str) -> None:
    with pytest.raises(BadInputError, match=named):
        start_time(delay, at)


def test_the_longest_wait() -> None:
    assert longest_wait(None) is None
    assert longest_wait("10m") == timedelta(minutes=10)


@pytest.mark.parametrize("text", ["0", "0s", "", "soon"])
def test_what_leaves_no_time_to_wait_is_named(text: str) -> None:
    with pytest.raises(BadInputError, match=f"--timeout '{text}'"):
        longest_wait(text)
