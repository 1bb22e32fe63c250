"""The code blocks of a document, and what the comments above them say.

A comment just above a block tells what a test cannot know by itself:

    <!-- not run: needs a cluster -->           nothing here can run it
    <!-- run in a fresh clone: installs -->     `python -m tests.docs` runs it, tests do not
    <!-- ends with the block -->                what it starts in the foreground is over after it
"""

import os
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from textwrap import dedent

from markdown_it import MarkdownIt

from tests.docs.pages import PAGES, ROOT

NOT_RUN = "not run"
FRESH_CLONE = "run in a fresh clone"
ENDS = "ends with the block"

COMMENT = re.compile(rf"<!--\s*({NOT_RUN}|{FRESH_CLONE}|{ENDS})(?:: (.+?))?\s*-->")


@dataclass(frozen=True)
class Block:
    """A fenced block; a block without a fence has no language."""

    document: Path
    line: int
    language: str
    text: str
    comment: str = ""
    reason: str = ""

    @property
    def place(self) -> str:
        return f"{os.path.relpath(self.document, ROOT)}:{self.line}"


DOCUMENTS = [*PAGES, *sorted(ROOT.glob("*/README.md"))]


def blocks(document: Path) -> list[Block]:
    """Those of a document in Markdown, in their order."""
    return list(_blocks(document, document.read_text(), 0))


def _blocks(document: Path, text: str, above: int) -> Iterator[Block]:
    """Those of a part of it, which has that many lines above it."""
    comment = None
    for token in MarkdownIt().parse(text):
        if token.map is None or token.type.endswith(("_open", "_close")):
            continue
        first = above + token.map[0] + 1
        if token.type == "fence":
            language = re.match(r"[{. ]*([\w+-]*)", token.info)
            said = comment.groups("") if comment else ("", "")
            yield Block(document, first, language[1] if language else "", token.content, *said)
        elif token.type == "code_block":
            yield from _indented(document, token.content, first)
        comment = COMMENT.fullmatch(token.content.strip())


def _indented(document: Path, text: str, first: int) -> Iterable[Block]:
    """What is below a tab or an admonition of the site, which indent their content."""
    if "```" in text:
        return _blocks(document, dedent(text), first - 1)
    return [Block(document, first, "", text)]
