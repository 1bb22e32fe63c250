"""What GitHub reads: workflows of CI and releases, and the forms for issues."""

import re
from pathlib import Path

import pytest
import yaml

from tests.support.schemas import check_by_schema

GITHUB = Path(__file__).parents[3] / ".github"
WORKFLOWS = sorted((GITHUB / "workflows").glob("*.yml"))
FORMS = sorted(
    {*(GITHUB / "ISSUE_TEMPLATE").glob("*.yml")} - {GITHUB / "ISSUE_TEMPLATE/config.yml"}
)
EVERY_WORKFLOW = pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)


@EVERY_WORKFLOW
def test_github_accepts_it_and_ends_its_jobs(workflow: Path) -> None:
    check_by_schema("vendor.github-workflows", workflow)
    check_by_schema("custom.github-workflows-require-timeout", workflow)


@EVERY_WORKFLOW
def test_actions_are_pinned_by_commit(workflow: Path) -> None:
    """Whoever takes over an action can move its tags. The comment says what dependabot compares."""
    used = re.findall(r"uses: (.*)", workflow.read_text())
    assert used
    for action in used:
        assert re.fullmatch(r"[\w.-]+/[\w.-]+@[0-9a-f]{40} # v\d+\.\d+\.\d+", action), action


def test_only_the_job_that_publishes_may() -> None:
    release = yaml.safe_load((GITHUB / "workflows/release.yml").read_text())
    assert release["permissions"] == {}
    rights = {name: job["permissions"] for name, job in release["jobs"].items()}
    assert rights == {
        "build": {"contents": "read"},
        "client": {"id-token": "write"},
        "queue": {"id-token": "write"},
        "image": {"contents": "read", "packages": "write"},
        "release": {"contents": "write"},
    }


def test_github_accepts_the_forms_for_issues() -> None:
    assert FORMS
    check_by_schema("vendor.github-issue-forms", *FORMS)
    check_by_schema("vendor.github-issue-config", GITHUB / "ISSUE_TEMPLATE/config.yml")


def test_dependabot_accepts_its_settings() -> None:
    check_by_schema("vendor.dependabot", GITHUB / "dependabot.yml")
