"""A translation says what its original says: the same parts, links and names."""

from pathlib import Path
from urllib.parse import urlsplit

import pytest
from markdown_it import MarkdownIt

from tests.docs.pages import PAGES, ROOT, Page

KOREAN = ".ko.md"
TRANSLATIONS = [page for page in PAGES if page.name.endswith(KOREAN)]

EVERY_TRANSLATION = pytest.mark.parametrize(
    "translation", TRANSLATIONS, ids=lambda path: str(path.relative_to(ROOT))
)


def original(translation: Path) -> Path:
    return translation.with_name(translation.name.replace(KOREAN, ".md"))


def outline(document: Path) -> list[str]:
    """The parts of a document in their order: headings with their level, tables by their rows."""
    tokens = MarkdownIt("commonmark").enable("table").parse(document.read_text())
    structure = {"heading_open", "fence", "tr_open", "list_item_open"}
    return [f"{token.type} {token.tag}" for token in tokens if token.type in structure]


def links(document: Path) -> set[str]:
    """Without anchors in other translations, and without the link to the other language."""
    other = {document.name, original(document).name, document.stem + KOREAN}
    found = set()
    for link in Page(document).links - other:
        target = urlsplit(link)
        found.add(target.path if not target.scheme else link)
    return {link.replace(KOREAN, ".md") for link in found}


def code_spans(document: Path) -> set[str]:
    """The names, commands and values that the text itself has."""
    tokens = MarkdownIt("commonmark").enable("table").parse(document.read_text())
    return {
        child.content
        for token in tokens
        for child in token.children or []
        if child.type == "code_inline"
    }


def test_there_are_translations() -> None:
    assert [path.name for path in TRANSLATIONS] == ["README.ko.md", "development-guide.ko.md"]


@EVERY_TRANSLATION
def test_it_has_the_same_parts(translation: Path) -> None:
    assert outline(translation) == outline(original(translation))


@EVERY_TRANSLATION
def test_it_links_to_the_same(translation: Path) -> None:
    assert links(translation) == links(original(translation))


@EVERY_TRANSLATION
def test_its_text_names_the_same(translation: Path) -> None:
    assert code_spans(translation) == code_spans(original(translation))


@EVERY_TRANSLATION
def test_each_leads_to_the_other_above_its_first_part(translation: Path) -> None:
    for document, other in (
        (translation, original(translation)),
        (original(translation), translation),
    ):
        top = document.read_text().partition("\n## ")[0]
        assert f"]({other.name})" in top
