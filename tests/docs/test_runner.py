"""What runs the blocks of documents finds what is wrong with them."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docs.blocks import blocks
from tests.docs.output import agrees
from tests.docs.runner import Runner, console, run_document
from tests.docs.shell import Shell
from tests.docs.world import World
from tests.support.processes import HANG_SECONDS, free_port


@pytest.fixture
def runner(tmp_path: Path) -> Iterator[Runner]:
    world = World(
        folder=tmp_path,
        records=tmp_path,
        env={"PATH": os.environ["PATH"], "PUSH_QUEUE_API_PORT": str(free_port())},
        names=((r"\breg\.example\.com\b", "localhost:7"),),
        commands=(),
    )
    with Shell(world.folder, world.records, world.env, HANG_SECONDS) as shell:
        yield Runner(world, shell)


def problems(runner: Runner, text: str) -> list[str]:
    """What is found in a document, without its place."""
    document = runner.world.folder / "document.md"
    document.write_text(text)
    return [found.partition(": ")[2] for found in run_document(document, runner)]


def test_an_excerpt_is_of_the_block_above(runner: Runner) -> None:
    text = "```sh\necho one; echo two; echo three\n```\n```console\none\nthree\n```\n"
    assert problems(runner, text) == []


def test_blocks_share_a_shell(runner: Runner) -> None:
    text = "```sh\na=reg.example.com\n```\n```console\n$ echo $a\nreg.example.com\n```\n"
    assert problems(runner, text) == []


@pytest.mark.parametrize(
    ("block", "problem"),
    [
        ("sh\ntrue | false | true\ntrue", "fails:\n(exit status 1: "),
        ("sh\necho said\n(exit 3)", "fails:\nsaid\n(exit status 3"),
        ("console\na line", "the block above\n---- does not show:\na line"),
        ("console\n$ echo one\ntwo", "$ echo one\none\n---- is not what it shows:\ntwo"),
        ("python\nimport asyncio\nawait asyncio.sleep(0)\nraise SystemExit('no')", "fails:\nno"),
        (
            "python\nimport asyncio\nasyncio.run(asyncio.sleep(0))\nraise SystemExit('no')",
            "fails:\nno",
        ),
        ("json\n{'a': 1}", "is not json"),
        ("yaml\n- [a", "is not yaml"),
        ("yaml\non: push\njobs: {a: {steps: []}}", "is not yaml"),
        ("yaml\napiVersion: v1\nkind: Pod\nspec: {container: []}", "is not yaml"),
        ("toml\na", "is not toml"),
        ("ini\na=1", "is not ini"),
        ("promql\n# One.\nsum(", "is not promql"),
        ("http\nGET /", "is not http"),
        ("rust\n", "nothing runs the language 'rust'"),
        ("\nplain", "nothing runs the language ''"),
        ("sh\npush-queue serve --port x", "ended, after it wrote:\n"),
        ("sh\ncp a /etc/a", "is not to touch /etc/"),
    ],
    ids=lambda text: text.replace("\n", " ")[:20],
)
def test_a_wrong_block_is_a_problem(runner: Runner, block: str, problem: str) -> None:
    [found] = problems(runner, f"```{block}\n```\n```sh\ntrue\n```\n")
    assert found.startswith(problem)


def test_a_block_that_is_only_indented_has_no_language(runner: Runner) -> None:
    assert len(problems(runner, "Text:\n\n    push-queue list\n")) == 1


def test_what_is_left_running_ends_with_the_shell(tmp_path: Path) -> None:
    with Shell(tmp_path, tmp_path, os.environ, HANG_SECONDS) as shell:
        pid = int(shell.run("sleep 1000 & echo $!").output)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


def test_comments_belong_to_the_block_below(tmp_path: Path) -> None:
    document = tmp_path / "document.md"
    document.write_text(
        "<!-- not run: no reason -->\n\n```sh\nfalse\n```\n\n"
        '=== "A tab"\n\n    <!-- ends with the block -->\n    ```sh\n    true\n    ```\n\n'
        "- an item\n\n  ```sh\n  true\n  ```\n"
    )
    found = [(block.line, block.comment, block.reason, block.text) for block in blocks(document)]
    assert found == [
        (3, "not run", "no reason", "false\n"),
        (10, "ends with the block", "", "true\n"),
        (16, "", "", "true\n"),
    ]


def test_commands_may_have_several_lines() -> None:
    text = "$ echo one \\\n>   two\none two\n$ echo three\nthree\n"
    assert list(console(text)) == [("echo one \\\n  two", "one two\n"), ("echo three", "three\n")]


@pytest.mark.parametrize(
    ("said", "shown", "same"),
    [
        ("sent 3.5 MB", "sent 12 MB", True),
        ("sent 3.5 MB", "sent 12 blobs", False),
        ("sha256:" + "0" * 64, "sha256:" + "f" * 64, True),
        ("a\nb\nc\nd", "a\n…\nd", True),
        ("a\nd", "a\n…\nd", True),
        ("a\nb\nc", "a\n…\nd", False),
        ("id   state", "id      state", True),
        ("id\tstate", "id      state", True),
        ("job failed: 403", "job failed: …", True),
        ("job failed: 403\nagain", "job failed: …", False),
        ("5 jobs", "6 jobs", False),
        ("a\nb", "a", False),
    ],
)
def test_outputs_agree_but_for_what_varies(said: str, shown: str, same: bool) -> None:
    assert agrees(said, shown) is same
