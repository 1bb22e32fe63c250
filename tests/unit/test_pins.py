"""What the lists of requirements hold, and what both distributions ask for."""

import re
import tomllib
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]


def project(folder: Path) -> dict[str, Any]:
    """What a project says of itself."""
    described: dict[str, Any] = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    return described


QUEUE, CLIENT = project(ROOT), project(ROOT / "registry_api_v2_client")


def pins(name: str) -> set[tuple[str, str]]:
    """Each distribution of a list with its version."""
    text = (ROOT / f"requirements/{name}.txt").read_text()
    return set(re.findall(r"^([\w.-]+)==(\S+)", text, re.M))


def name_of(requirement: str) -> str:
    return re.split(r"[^\w-]", requirement)[0]


@pytest.mark.parametrize("extra", ["embedded", "stores"])
def test_what_is_installed_by_the_lists_has_the_extra(extra: str) -> None:
    """So `make install` and the container image have it."""
    pinned = {name for name, _ in pins("runtime")}
    for requirement in QUEUE["optional-dependencies"][extra]:
        assert name_of(requirement) in pinned


def test_the_client_alone_has_pins_of_its_own() -> None:
    assert {name_of(requirement) for requirement in CLIENT["dependencies"]} <= {
        name for name, _ in pins("client")
    }
    assert pins("client") <= pins("runtime")


@pytest.mark.parametrize("field", ["requires-python", "license", "classifiers"])
def test_both_distributions_say_the_same(field: str) -> None:
    assert CLIENT[field] == QUEUE[field]


def test_what_both_ask_for_has_one_floor() -> None:
    asked = {name_of(requirement): requirement for requirement in QUEUE["dependencies"]}
    both = [need for need in CLIENT["dependencies"] if name_of(need) in asked]
    assert both
    assert [need for need in both if asked[name_of(need)] != need] == []
    assert CLIENT["optional-dependencies"]["stores"] == QUEUE["optional-dependencies"]["stores"]


def test_both_have_the_same_licence_text() -> None:
    texts = {(folder / "LICENSE").read_text() for folder in (ROOT, ROOT / "registry_api_v2_client")}
    assert len(texts) == 1


@pytest.mark.parametrize("extra", QUEUE["optional-dependencies"])
def test_the_development_tools_have_every_extra(extra: str) -> None:
    """`uv sync --dev` installs no extra, and the tests need all of them."""
    tools = tomllib.loads((ROOT / "pyproject.toml").read_text())["dependency-groups"]["dev"]
    assert [need for need in QUEUE["optional-dependencies"][extra] if need not in tools] == []
