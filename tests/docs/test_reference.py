"""The reference pages say what the program says."""

import re
from pathlib import Path

import pytest

from push_queue.settings import Settings
from scripts.reference.docstrings import described
from scripts.reference.pages import PAGES, REFERENCE, written
from tests.docs.pages import ROOT

BY_HAND = {"http-api.md", "logging.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_generated_parts_are_up_to_date(page: Path) -> None:
    text = page.read_text()
    assert written(page, text) == text, f"{page.name} is out of date: run make reference"


def test_every_reference_page_is_generated_or_known_to_be_written_by_hand() -> None:
    assert {page.name for page in REFERENCE.glob("*.md")} == {page.name for page in PAGES} | BY_HAND


def test_a_page_without_the_place_for_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match=r"metrics\.md has no place, or several, for queue"):
        written(REFERENCE / "metrics.md", "# Metrics\n")


@pytest.mark.parametrize(
    ("package", "reader"), [("worker", "workers"), ("producer/api", "servers")]
)
def test_a_setting_names_those_who_read_it(package: str, reader: str) -> None:
    code = "".join(file.read_text() for file in (ROOT / package).rglob("*.py"))
    read = set(re.findall(r"\bsettings\.(\w+)", code)) & set(Settings.model_fields)
    assert read
    readers = {name: described(Settings)[name].partition(":")[0].lower() for name in read}
    assert [name for name, who in readers.items() if who != "all" and reader not in who] == []
