"""The Markdown files of the repository: their links, and the anchors that links may lead to.

Anchors are those that GitHub makes; the site is set to make the same.
"""

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from markdown_it import MarkdownIt
from markdown_it.token import Token

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
PAGES = [*sorted(ROOT.glob("*.md")), *sorted(DOCS.rglob("*.md"))]

_MARKDOWN = MarkdownIt("commonmark").enable("table")


@dataclass(frozen=True)
class Page:
    path: Path

    @cached_property
    def _tokens(self) -> list[Token]:
        return list(_flat(_MARKDOWN.parse(self.path.read_text())))

    @property
    def links(self) -> set[str]:
        """Where links and pictures lead to, as they are written."""
        named = {"a": "href", "link_open": "href", "img": "src", "image": "src"}
        found = (token.attrGet(named[token.type]) for token in self._tokens if token.type in named)
        return {str(link) for link in found if link} | self._attributes("href", "src")

    @property
    def anchors(self) -> set[str]:
        slugs: Counter[str] = Counter()
        anchors = self._attributes("id", "name")
        for opening, heading in zip(self._tokens, self._tokens[1:], strict=False):
            if opening.type == "heading_open":
                slug = _slug(heading)
                anchors.add(f"{slug}-{slugs[slug]}" if slugs[slug] else slug)
                slugs[slug] += 1
        return anchors

    @property
    def unknown_labels(self) -> set[str]:
        """``[text][label]`` without a ``[label]: …``, which is shown as it stands."""
        texts = (token.content for token in self._tokens if token.type == "text")
        return {label for text in texts for label in re.findall(r"\]\[([^\]]+)\]", text)}

    def _attributes(self, *names: str) -> set[str]:
        html = "".join(token.content for token in self._tokens if token.type.startswith("html"))
        return set(re.findall(rf'\b(?:{"|".join(names)})="([^"]+)"', html))


def _flat(tokens: list[Token]) -> Iterator[Token]:
    for token in tokens:
        yield token
        yield from _flat(token.children or [])


def _slug(heading: Token) -> str:
    text = "".join(
        child.content for child in heading.children or [] if child.type in ("text", "code_inline")
    )
    return re.sub(r"[^\w\- ]", "", text.lower()).replace(" ", "-")
