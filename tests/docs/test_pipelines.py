"""The guides to CI systems show the examples that there are."""

from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.docs.pages import DOCS, ROOT
from tests.support.schemas import check_by_schema

PIPELINES = ROOT / "examples" / "pipelines"


@pytest.mark.parametrize(
    ("guide", "example"),
    [
        ("github-actions.md", "github-actions.yml"),
        ("gitlab-ci.md", "gitlab-ci.yml"),
        ("jenkins.md", "Jenkinsfile"),
    ],
)
def test_a_guide_shows_the_example(guide: str, example: str) -> None:
    shown = [block.text for block in blocks(DOCS / "how-to" / guide)]
    assert (PIPELINES / example).read_text() in shown


@pytest.mark.parametrize(
    ("schema", "example"),
    [("vendor.github-workflows", "github-actions.yml"), ("vendor.gitlab-ci", "gitlab-ci.yml")],
)
def test_an_example_is_what_its_ci_system_takes(schema: str, example: str) -> None:
    check_by_schema(schema, PIPELINES / example)


@pytest.mark.parametrize(
    "pipeline",
    [path for path in PIPELINES.iterdir() if path.suffix != ".sh"],
    ids=lambda path: path.name,
)
def test_an_example_names_its_guide(pipeline: Path) -> None:
    first = pipeline.read_text().splitlines()[0]
    assert (ROOT / first.rpartition(" ")[2].rstrip(".")).exists()
