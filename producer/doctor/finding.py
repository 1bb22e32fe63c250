"""One thing that was looked at, and what was found."""

from enum import StrEnum

from pydantic import BaseModel, ConfigDict


class Severity(StrEnum):
    """How bad it is."""

    OK = "ok"
    WARNING = "warning"
    """It works, but may not as wanted."""
    PROBLEM = "problem"
    """Pushes fail because of it, or jobs are lost."""


class Finding(BaseModel):
    """What was found, on one line, and what to do about it."""

    model_config = ConfigDict(frozen=True)

    subject: str
    severity: Severity
    text: str
    advice: str = ""
    """Empty if there is nothing to do."""


def ok(subject: str, text: str, advice: str = "") -> Finding:
    return Finding(subject=subject, severity=Severity.OK, text=text, advice=advice)


def warning(subject: str, text: str, advice: str = "") -> Finding:
    return Finding(subject=subject, severity=Severity.WARNING, text=text, advice=advice)


def problem(subject: str, text: str, advice: str = "") -> Finding:
    return Finding(subject=subject, severity=Severity.PROBLEM, text=text, advice=advice)
