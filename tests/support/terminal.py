"""What a program shows on a terminal, as a picture."""

import asyncio
import fcntl
import os
import pty
import struct
import termios
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from io import StringIO
from itertools import groupby

import pyte
from rich.color import ANSI_COLOR_NAMES
from rich.console import Console
from rich.style import Style
from rich.terminal_theme import DIMMED_MONOKAI
from rich.text import Text

from tests.support.waiting import becomes

COLUMNS, LINES = 96, 14

_SVG = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
font: {char_height}px/{line_height}px ui-monospace, Menlo, Consolas, monospace
}}
.{unique_id}-title {{ font: bold 18px system-ui, sans-serif }}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}" />
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""As Rich's, without fonts from another host."""


class Terminal:
    """A terminal of ``COLUMNS`` and ``LINES`` with a program on it."""

    def __init__(self, process: asyncio.subprocess.Process, screen: pyte.Screen) -> None:
        self.process = process
        self._screen = screen

    @property
    def lines(self) -> list[str]:
        return [line.rstrip() for line in self._screen.display]

    async def shows(self, what: Callable[[str], object]) -> None:
        """Wait until a line is as wanted."""

        async def shown() -> bool:
            return any(map(what, self.lines))

        await becomes(shown)

    def picture(self, command: str) -> str:
        """An SVG of what it shows now, below the ``command``."""
        console = Console(record=True, width=COLUMNS, file=StringIO())
        console.print(Text.assemble(("$ ", "bold green"), command))
        for number, line in enumerate(self.lines):
            if line:
                console.print(self._text(number, len(line)))
        return console.export_svg(
            title="", theme=DIMMED_MONOKAI, code_format=_SVG, unique_id="terminal"
        )

    def _text(self, line: int, width: int) -> Text:
        chars = [self._screen.buffer[line][column] for column in range(width)]
        alike = groupby(chars, key=lambda char: Style(color=_color(char.fg), bold=char.bold))
        return Text.assemble(*(("".join(char.data for char in run), style) for style, run in alike))


@asynccontextmanager
async def run_on_terminal(command: Sequence[str], env: dict[str, str]) -> AsyncIterator[Terminal]:
    """Run it; what is still running at the end is stopped."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", LINES, COLUMNS, 0, 0))
    screen = pyte.Screen(COLUMNS, LINES)
    stream = pyte.ByteStream(screen)
    loop = asyncio.get_running_loop()
    loop.add_reader(ours, lambda: stream.feed(_read(ours)))
    try:
        process = await asyncio.create_subprocess_exec(
            *command,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
            env={**env, "TERM": "xterm-256color"},
        )
        try:
            yield Terminal(process, screen)
        finally:
            if process.returncode is None:
                process.terminate()
            await process.wait()
    finally:
        loop.remove_reader(ours)
        os.close(ours)
        os.close(theirs)


def _read(terminal: int) -> bytes:
    return os.read(terminal, 1 << 16)


def _color(name: str) -> str | None:
    """Rich's name for pyte's color."""
    if name == "default":
        return None
    known = {"brown": "yellow"}.get(name, name)
    return known if known in ANSI_COLOR_NAMES else f"#{name}"
