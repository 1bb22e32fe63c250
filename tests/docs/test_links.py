"""Every link in the documents leads somewhere; addresses elsewhere are looked at, not asked."""

import tomllib
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from tests.docs.pages import DOCS, PAGES, ROOT, Page

EVERY_PAGE = pytest.mark.parametrize("path", PAGES, ids=lambda path: str(path.relative_to(ROOT)))


@EVERY_PAGE
def test_every_link_leads_to_a_file_and_an_anchor(path: Path) -> None:
    for link in Page(path).links:
        target = urlsplit(link)
        if target.scheme:
            continue
        file = (path.parent / unquote(target.path)).resolve() if target.path else path
        assert file.exists(), link
        assert file.is_relative_to(ROOT), link
        if target.fragment:
            assert target.fragment in Page(file).anchors, link


@EVERY_PAGE
def test_addresses_elsewhere_are_whole(path: Path) -> None:
    for link in Page(path).links:
        target = urlsplit(link)
        if target.scheme:
            assert target.scheme in {"https", "mailto"}, link
            assert "." in target.netloc or target.scheme == "mailto", link


@EVERY_PAGE
def test_every_label_of_a_link_is_known(path: Path) -> None:
    assert Page(path).unknown_labels == set()


@EVERY_PAGE
def test_a_page_of_the_site_links_to_pages_of_the_site(path: Path) -> None:
    """Other files are not there: they are named, as `deploy/compose/settings.env` is."""
    if path.is_relative_to(DOCS):
        relative = [urlsplit(link).path for link in Page(path).links if not urlsplit(link).scheme]
        outside = [
            name for name in relative if not (path.parent / name).resolve().is_relative_to(DOCS)
        ]
        assert outside == []


def test_every_page_of_the_site_is_in_its_navigation() -> None:
    site = tomllib.loads((ROOT / "zensical.toml").read_text())["project"]
    pages = {str(path.relative_to(DOCS)) for path in PAGES if path.is_relative_to(DOCS)}
    assert set(_named(site["nav"])) == pages


def _named(navigation: Any) -> list[str]:
    if isinstance(navigation, str):
        return [navigation]
    entries = navigation.values() if isinstance(navigation, dict) else navigation
    return [name for entry in entries for name in _named(entry)]
