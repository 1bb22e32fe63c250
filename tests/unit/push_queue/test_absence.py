"""What others import does not see a package."""

import sys
from importlib import import_module

import pytest

from push_queue.absence import absent


def test_a_package_is_absent_inside_and_there_afterwards(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rich", raising=False)
    with absent("rich"), pytest.raises(ImportError):
        import_module("rich")
    import_module("rich")


def test_it_is_there_afterwards_when_an_import_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(sys.modules, "rich", raising=False)
    with pytest.raises(ModuleNotFoundError, match="nowhere"), absent("rich"):
        import_module("nowhere")
    import_module("rich")


def test_what_is_loaded_already_stays_loaded() -> None:
    rich = import_module("rich")
    with absent("rich"):
        assert import_module("rich") is rich
