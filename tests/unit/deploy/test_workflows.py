"""The workflows of CI and releases."""

from pathlib import Path

import pytest

from tests.support.schemas import check_by_schema

WORKFLOWS = sorted((Path(__file__).parents[3] / ".github/workflows").glob("*.yml"))


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda path: path.name)
def test_github_accepts_it_and_ends_its_jobs(workflow: Path) -> None:
    check_by_schema("vendor.github-workflows", workflow)
    check_by_schema("custom.github-workflows-require-timeout", workflow)
