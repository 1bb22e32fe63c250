"""Runs the blocks of a document in their order, each by its language."""

import os
import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from tests.docs.blocks import ENDS, FRESH_CLONE, NOT_RUN, Block, blocks
from tests.docs.data import CHECKS
from tests.docs.output import agrees, holds
from tests.docs.pages import ROOT
from tests.docs.shell import EndedError, HungError, Shell
from tests.docs.world import PROGRAMS, World

SCENES = Path(__file__).with_name("scenes")
"""For a document, what is there before its first block: a script of the same path."""

ENDLESS = re.compile(r"(?:push-queue (?:up|serve)|push-worker)\b[^&|;\n]*")
"""Commands that people leave running in a terminal of their own."""

COMMAND = re.compile(r"^\$ ", re.MULTILINE)

OF_THE_MACHINE = re.compile(
    r"(?<![\w./-])/(?:etc|opt|usr|var)/|\b(?:sudo|systemctl|apt(?:-get)?)\b"
)
"""What a block may not touch that runs on anybody's machine."""


class BlockFailedError(Exception):
    """What a block did that its document does not say."""


@dataclass
class Runner:
    """Runs blocks in one shell; `fresh_clone` runs those, too, that tests leave to it."""

    world: World
    shell: Shell
    fresh_clone: bool = False

    def __post_init__(self) -> None:
        self._said = ""
        self._by_language: dict[str, Callable[[str], list[int]]] = {
            "sh": self._script,
            "bash": self._script,
            "console": self._console,
            "python": self._python,
        }

    def prepare(self, document: Path) -> None:
        """Make what the document takes for granted.

        Raises:
            BlockFailedError: that failed.
            HungError: it did not end.
        """
        scene = (SCENES / os.path.relpath(document, ROOT)).with_suffix(".sh")
        if scene.exists():
            self._script(self.world.rewrite(scene.read_text()))

    def run(self, block: Block) -> None:
        """Run a block, or look whether it is what its language asks for.

        Raises:
            BlockFailedError: it does something else than the document says.
            HungError: it did not end.
        """
        if block.comment == NOT_RUN or (block.comment == FRESH_CLONE and not self.fresh_clone):
            return
        try:
            if run := self._by_language.get(block.language):
                text = self.world.rewrite(block.text)
                started = run(text)
                for pid in started if block.comment == ENDS else ():
                    self.shell.stop(pid)
            elif check := CHECKS.get(block.language):
                check(block.text)
            else:
                raise BlockFailedError(
                    f"nothing runs the language {block.language!r}: "
                    f"give it another, or write above it: <!-- {NOT_RUN}: why -->"
                )
        except (AssertionError, ValueError) as error:
            raise BlockFailedError(f"is not {block.language}: {error}") from None

    def _script(self, text: str) -> list[int]:
        commands = text.strip().splitlines()
        if not all(map(ENDLESS.fullmatch, commands)):
            self._said = self._run(text)
            return []
        started = [self._start(commands[0], "")]
        for command in commands[1:]:  # One after the other: they use the same port.
            self.shell.stop(started[-1])
            started.append(self._start(command, ""))
        return started

    def _console(self, text: str) -> list[int]:
        if not COMMAND.search(text):
            self._excerpt(text)
        started = []
        for command, shown in console(text):
            if ENDLESS.fullmatch(command):
                started.append(self._start(command, shown))
                continue
            said = self._run(command, on_terminal="|" not in command)
            if shown and not self._agrees(said, shown):
                raise BlockFailedError(f"$ {command}\n{said}---- is not what it shows:\n{shown}")
        return started

    def _excerpt(self, shown: str) -> None:
        """A block without commands shows what the script above it writes, or a part of that."""
        if not holds(self.world.rewrite(self._said), shown):
            raise BlockFailedError(f"the block above\n{self._said}---- does not show:\n{shown}")

    def _python(self, text: str) -> list[int]:
        number = len(list(self.world.records.glob("*.py")))
        script = self.world.records / f"{number}.py"
        script.write_text(text)
        self._run(f"python3 {PROGRAMS / 'anywhere/run-python'} {script}")
        return []

    def _run(self, commands: str, *, on_terminal: bool = False) -> str:
        if found := OF_THE_MACHINE.search(commands):
            raise BlockFailedError(
                f"is not to touch {found[0]}: write above it: <!-- {NOT_RUN}: why -->"
            )
        done = self.shell.run(self.world.rewrite_command(commands), on_terminal=on_terminal)
        if done.status:
            raise BlockFailedError(f"fails:\n{done.output}")
        return done.output

    def _start(self, command: str, shown: str) -> int:
        def complete(said: str) -> bool:
            if shown:
                return self._agrees(said, shown)
            return command.startswith("push-worker") or self._serves()

        try:
            return self.shell.start(command, complete)
        except EndedError as error:
            raise BlockFailedError(f"ended, after it wrote:\n{error}") from None

    def _agrees(self, said: str, shown: str) -> bool:
        # Some programs suggest addresses that were rewritten where the document has them.
        return agrees(self.world.rewrite(said), shown)

    def _serves(self) -> bool:
        port = int(self.world.env["PUSH_QUEUE_API_PORT"])
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", port)) == 0


def console(text: str) -> Iterator[tuple[str, str]]:
    """The commands after `$ `, with what the document shows of their output."""
    for part in COMMAND.split(text)[1:]:
        found = re.match(r"((?:.*\\\n)*.*)\n?", part)
        assert found
        yield re.sub(r"\\\n> ", "\\\\\n", found[1]), part[found.end() :]


def run_document(document: Path, runner: Runner) -> list[str]:
    """What is wrong with its blocks, each with its place."""
    problems = []
    place = f"the scene of {os.path.relpath(document, ROOT)}"
    try:
        runner.prepare(document)
        for block in blocks(document):
            place = block.place
            try:
                runner.run(block)
            except BlockFailedError as error:
                problems.append(f"{place}: {error}")
    except HungError as error:
        # The shell is still at it, so the other blocks cannot run.
        problems.append(f"{place}: did not end, after it wrote:\n{error}")
    return problems
