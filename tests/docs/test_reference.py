"""The reference pages say what the program says."""

import re
from inspect import signature
from pathlib import Path

import pytest

from push_queue.docstrings import described
from push_queue.error_kinds import BAD_INPUT, ErrorKind
from push_queue.redis.keys import Keys
from push_queue.settings import Settings
from registry_api_v2_client import exceptions
from scripts.reference.pages import PAGES, REFERENCE, written
from tests.docs.pages import ROOT

BY_HAND = {"logging.md", "registries.md"}


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_the_generated_parts_are_up_to_date(page: Path) -> None:
    text = page.read_text("utf-8")
    assert written(page, text) == text, f"{page.name} is out of date: run make reference"


def test_every_reference_page_is_generated_or_known_to_be_written_by_hand() -> None:
    assert {page.name for page in REFERENCE.glob("*.md")} == {page.name for page in PAGES} | BY_HAND


def test_a_page_without_the_place_for_a_part_is_refused() -> None:
    with pytest.raises(ValueError, match=r"metrics\.md has no place, or several, for queue"):
        written(REFERENCE / "metrics.md", "# Metrics\n")


SERVERS = ("producer/api", "producer/cli/serve.py", "producer/spool")
STARTERS = ("producer/cli/up.py", "producer/local_system", "producer/doctor")
"""They hand settings on to others, or look at those of others."""


@pytest.mark.parametrize("reader", ["commands", "servers", "workers"])
def test_a_setting_names_those_who_read_it(reader: str) -> None:
    read = {
        name
        for folder in ("producer", "worker")
        for file in (ROOT / folder).rglob("*.py")
        if _reader_of(str(file.relative_to(ROOT))) == reader
        for name in re.findall(r"\b_?settings\.(\w+)", file.read_text("utf-8"))
    } & set(Settings.model_fields)
    assert read
    readers = {name: described(Settings)[name].partition(":")[0].lower() for name in read}
    assert [name for name, who in readers.items() if who != "all" and reader not in who] == []


def _reader_of(file: str) -> str | None:
    if file.startswith("worker/"):
        return "workers"
    if file.startswith(SERVERS):
        return "servers"
    return None if file.startswith(STARTERS) else "commands"


def test_every_key_that_is_built_is_in_the_table() -> None:
    table = re.findall(r"^\| `(push:\S+)`", (REFERENCE / "job-hash.md").read_text("utf-8"), re.M)
    listed = [re.compile(re.sub("<[^>]+>", "[^:]+(:[^:]+)?", key)) for key in table]
    keys = Keys()
    others = {"namespace", "arq_job_id", "job_of"}
    for name in (name for name in vars(Keys) if not name.startswith("_") and name not in others):
        built = getattr(keys, name)
        if callable(built):
            built = built(*(["x"] * len(signature(built).parameters)))
        assert any(key.fullmatch(built) for key in listed), built


def test_every_kind_of_the_client_is_known_with_what_to_do() -> None:
    errors = [getattr(exceptions, name) for name in exceptions.__all__]
    assert {error.kind for error in errors} <= set(ErrorKind)
    wrong_input = {error.kind for error in errors if issubclass(error, exceptions.ValidationError)}
    assert wrong_input == BAD_INPUT
