"""The code blocks of all documents do what they say."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.docs.blocks import COMMENT, DOCUMENTS, FRESH_CLONE, NOT_RUN, Block, blocks
from tests.docs.pages import ROOT
from tests.docs.runner import Runner, run_document
from tests.docs.shell import Shell
from tests.docs.world import World, run_world
from tests.support.processes import HANG_SECONDS

REASONS = {
    (NOT_RUN, "needs Docker"),
    (NOT_RUN, "needs a cluster"),
    (NOT_RUN, "installs services"),
    (NOT_RUN, "writes to /etc"),
    (NOT_RUN, "CI runs it"),
    (FRESH_CLONE, "makes an environment"),
    (FRESH_CLONE, "keeps a registry there"),
}
"""Why some blocks are not run here. Whoever adds one has looked whether it cannot be."""

BLOCK_SECONDS = 4 * HANG_SECONDS
"""Blocks have a dozen commands, and each of them loads Python."""

# A translation has the blocks of its original, so running those once will do.
TRANSLATIONS = [document for document in DOCUMENTS if document.name.endswith(".ko.md")]
ORIGINALS = [doc for doc in DOCUMENTS if blocks(doc) and doc not in TRANSLATIONS]


def each_of(documents: list[Path]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize(
        "document", documents, ids=lambda path: str(path.relative_to(ROOT))
    )


@pytest.fixture(scope="session")
def sample(tmp_path_factory: pytest.TempPathFactory) -> Path:
    tar = tmp_path_factory.mktemp("sample") / "app.tar"
    subprocess.run([sys.executable, ROOT / "examples/sample_image.py", tar], check=True)
    return tar


@pytest.fixture
def world(sample: Path, document: Path) -> Iterator[World]:
    starts_one = any(
        "make start-registry" in block.text
        for block in blocks(document)
        if block.comment not in (NOT_RUN, FRESH_CLONE)
    )
    # Below /tmp itself: `push-queue up` has a socket there, whose path may not be long.
    with (
        TemporaryDirectory(prefix="docs-", ignore_cleanup_errors=True) as folder,
        run_world(Path(folder), sample, with_registry=not starts_one) as world,
    ):
        yield world


@pytest.mark.integration
@pytest.mark.timeout(900)
@each_of(ORIGINALS)
def test_blocks_do_what_they_say(document: Path, world: World) -> None:
    with Shell(world.folder, world.records, world.env, BLOCK_SECONDS) as shell:
        problems = run_document(document, Runner(world, shell))
    assert not problems, "\n".join(problems)


@each_of(TRANSLATIONS)
def test_a_translation_has_the_blocks_of_its_original(document: Path) -> None:
    original = document.with_name(document.name.replace(".ko.md", ".md"))
    assert [bare(block) for block in blocks(document)] == [
        bare(block) for block in blocks(original)
    ]


def bare(block: Block) -> tuple[str, str, str]:
    """What a translation leaves as it is: all but the comments in the code."""
    return block.language, block.comment, re.sub(r"(?m)(^|\s+)#\s.*$", "", block.text).strip()


@each_of(DOCUMENTS)
def test_every_comment_is_just_above_a_block(document: Path) -> None:
    said = [block for block in blocks(document) if block.comment]
    assert len(said) == len(COMMENT.findall(document.read_text()))


def test_every_block_that_is_not_run_says_why() -> None:
    left_out = [
        block
        for document in DOCUMENTS
        for block in blocks(document)
        if block.comment in (NOT_RUN, FRESH_CLONE)
    ]
    assert {(block.comment, block.reason) for block in left_out} <= REASONS
