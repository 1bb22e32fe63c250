"""The changelog, and what a release says of itself."""

import re
from pathlib import Path

import pytest

from scripts.release_notes import release_notes

ROOT = Path(__file__).parents[3]
CHANGELOG = """# Changelog

## [Unreleased]

## [1.2.0] - 2026-12-24

### Added

- More.

## [1.1.0] - 2026-11-24

- Less.
"""


def test_the_notes_are_the_section_of_the_version() -> None:
    assert release_notes("v1.2.0", "1.2.0", CHANGELOG) == "### Added\n\n- More."


def test_the_last_section_ends_before_the_links() -> None:
    links = "\n[1.1.0]: https://example.com/1.1.0\n"
    assert release_notes("v1.1.0", "1.1.0", CHANGELOG + links) == "- Less."


@pytest.mark.parametrize(
    ("tag", "version", "problem"),
    [
        ("v1.2.1", "1.2.0", "the tag v1.2.1 is not v1.2.0, the version in pyproject.toml"),
        ("1.2.0", "1.2.0", "the tag 1.2.0 is not v1.2.0"),
        ("v1.3.0", "1.3.0", r"says nothing under `## \[1.3.0\] - <date>`"),
        ("v1x2.0", "1x2.0", "says nothing"),
    ],
)
def test_what_is_not_ready_is_refused(tag: str, version: str, problem: str) -> None:
    with pytest.raises(ValueError, match=problem):
        release_notes(tag, version, CHANGELOG)


def test_the_changelog_keeps_to_its_format() -> None:
    """https://keepachangelog.com: the newest first, with a date, and six kinds of change."""
    text = (ROOT / "CHANGELOG.md").read_text()
    kinds = {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}
    assert set(re.findall(r"^### (.+)", text, re.M)) <= kinds
    unreleased, *released = re.findall(r"^## (.+)", text, re.M)
    assert unreleased == "[Unreleased]"
    assert [
        title for title in released if not re.fullmatch(r"\[[\d.]+\] - \d{4}-\d\d-\d\d", title)
    ] == []
