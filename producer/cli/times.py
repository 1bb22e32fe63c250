"""Times as they are typed: ``90``, ``5m``, ``2h30m``, ``2026-01-31T09:30``."""

import re
from datetime import UTC, datetime, timedelta

from producer.cli.exits import BadInputError

LATE = timedelta(minutes=1)
"""``--at`` counts in minutes, so the one that has begun is not the past."""

_UNITS = {"d": "days", "h": "hours", "m": "minutes", "s": "seconds"}
_DURATION = re.compile(r"(?:\d+[dhms])+|\d+")
_PART = re.compile(r"(\d+)([dhms]?)")


def start_time(delay: str | None, at: str | None) -> datetime | timedelta | None:
    """When to start, from ``--delay`` or ``--at``; None is at once.

    A delay counts by Redis' clock, which this machine's may differ from.
    """
    if delay and at:
        raise BadInputError("--delay and --at exclude each other")
    if delay:
        return duration("--delay", delay)
    return _moment(at) if at else None


def duration(option: str, text: str) -> timedelta:
    """The time that was given for ``option``."""
    if not _DURATION.fullmatch(text):
        raise BadInputError(f"{option} {text!r} is not a time such as 90, 90s, 5m or 2h30m")
    parts = {_UNITS[unit or "s"]: int(number) for number, unit in _PART.findall(text)}
    try:
        return timedelta(**parts)
    except OverflowError:
        raise BadInputError(f"{option} {text!r} is too long") from None


def longest_wait(text: str | None) -> timedelta | None:
    """The time that ``--timeout`` gives; None is without end."""
    if text is None:
        return None
    most = duration("--timeout", text)
    if not most:
        raise BadInputError(f"--timeout {text!r} leaves no time to wait; see `push-queue status`")
    return most


def past_moment(option: str, text: str) -> datetime:
    """The moment that was given for ``option``, or that long ago, by this machine's clock."""
    if _DURATION.fullmatch(text):
        ago = duration(option, text)
        try:
            return datetime.now(UTC) - ago
        except OverflowError:
            raise BadInputError(f"{option} {text!r} is too long") from None
    try:
        # Without an offset, it is in the local time zone.
        return datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise BadInputError(
            f"{option} {text!r} is neither a time such as 90s, 5m, 2h, nor 2026-01-31T09:30"
        ) from None


def _moment(text: str) -> datetime:
    try:
        # Without an offset, it is in the local time zone.
        moment = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):
        raise BadInputError(f"--at {text!r} is not a time such as 2026-01-31T09:30") from None
    if moment < datetime.now(UTC) - LATE:
        raise BadInputError(
            f"--at {text!r} is in the past ({moment:%Y-%m-%d %H:%M %z}); leave it out to start now"
        )
    return moment
