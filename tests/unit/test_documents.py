"""What the documents say about the code is true."""

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted((ROOT / "docs").rglob("*.md"))


def defined_tests() -> set[str]:
    files = (ROOT / "tests").rglob("test_*.py")
    return {
        name
        for file in files
        for name in (file.name, *re.findall(r"^(?:async )?def (test_\w+)", file.read_text(), re.M))
    }


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_test_that_is_named_exists(document: Path) -> None:
    named = set(re.findall(r"`(test_[\w.]+)`", document.read_text()))
    assert named - defined_tests() == set()


def test_every_file_that_the_architecture_names_exists() -> None:
    names = {path.name for path in (ROOT / "push_queue").rglob("*.lua")}
    for package in ("push_queue", "registry_api_v2_client"):
        names |= {path.name for path in (ROOT / package).rglob("*.py")}
    text = (ROOT / "docs" / "explanation" / "architecture.md").read_text()
    for named in re.findall(r"`([\w./-]+(?:\.py|\.lua|\.toml|/))`", text):
        assert named in names or (ROOT / named).exists(), named


def test_every_key_that_is_promised_exists() -> None:
    """The reference is compared with the program."""
    promises = (ROOT / "docs" / "explanation" / "compatibility.md").read_text()
    table = promises.partition("| stable |")[2].partition("\n\n")[0]
    promised = set(re.findall(r"`(push:[^`]+)`", table))
    reference = (ROOT / "docs" / "reference" / "job-hash.md").read_text()
    assert promised
    assert promised <= set(re.findall(r"^\| `(push:[^`]+)` +\|", reference, re.M))
