"""What the lists of requirements hold."""

import re
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


@pytest.mark.parametrize("extra", ["embedded", "stores"])
def test_what_is_installed_by_the_lists_has_the_extra(extra: str) -> None:
    """So `make install` and the container image have it."""
    pinned = re.findall(r"^([\w.-]+)==", (ROOT / "requirements/runtime.txt").read_text(), re.M)
    for requirement in PROJECT["optional-dependencies"][extra]:
        assert re.match(r"[\w.-]+", requirement)[0] in pinned  # type: ignore[index]
