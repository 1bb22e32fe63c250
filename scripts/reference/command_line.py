"""The commands with their arguments and options, as their help has them."""

import re
from collections.abc import Iterator
from typing import Any

from typer.main import get_command

from producer.cli.app import NAME, app, load_command
from producer.cli.commands import COMMANDS
from scripts.reference.markdown import block, code, paragraphs, prose, table
from worker.cli.app import app as worker_app
from worker.exits import NAME as WORKER_NAME

_CHOICES = re.compile(r"(?<=--)([a-z-]+) <([^>]+\|[^>]+)>")


def commands() -> str:
    """Every command of ``push-queue``, in the order of its help."""
    every = (_command(f"{NAME} {name}", load_command(name)) for name in COMMANDS)
    overview = table(
        ("command", "what it does"),
        ((f"[`{name}`](#{NAME}-{name})", prose(COMMANDS[name].summary)) for name in COMMANDS),
    )
    options = table(("option", "meaning"), _options(NAME, get_command(app)))
    return "\n\n".join([overview, "For all commands, before their name:", options, *every])


def worker() -> str:
    """``push-worker``."""
    return _command(WORKER_NAME, get_command(worker_app))


def _command(name: str, command: Any) -> str:
    return "\n\n".join(_parts(name, command))


def _parts(name: str, command: Any) -> Iterator[str]:
    context = command.make_context(name, [], resilient_parsing=True)
    arguments = [_argument(one) for one in command.get_params(context) if _is_argument(one)]
    parts = getattr(command, "commands", {})
    yield f"## {name}"
    yield paragraphs(command.help)
    usage = [name, "[OPTIONS]", *arguments, *(["[COMMAND]"] if parts else [])]
    yield block(" ".join(usage))
    yield table(("option", "meaning"), _options(name, command))
    yield from _notes(command.epilog) if command.epilog else ()
    for part, inner in parts.items():
        yield from (text.replace("## ", "### ", 1) for text in _parts(f"{name} {part}", inner))


def _options(name: str, command: Any) -> Iterator[tuple[str, str]]:
    context = command.make_context(name, [], resilient_parsing=True)
    for parameter in command.get_params(context):
        if parameter.name != "help":
            written, meaning = parameter.get_help_record(context)
            written = _argument(parameter) if _is_argument(parameter) else written
            yield _option(written, meaning)


def _option(written: str, meaning: str) -> tuple[str, str]:
    """What is typed, and what it does: choices and limits are with the latter."""
    words = prose(meaning.partition("  [")[0])
    if choices := _CHOICES.search(written):
        written = written.replace(choices[0], f"{choices[1]} {choices[1].upper()}")
        words += f" One of {', '.join(map(code, choices[2].split('|')))}."
    words += "".join(_limits(meaning.partition("  [")[2].rstrip("]")))
    return code(written.replace(" / ", ", ")), words


def _limits(brackets: str) -> Iterator[str]:
    """Of ``default: 50; 1<=x<=1000``."""
    for limit in filter(None, brackets.split("; ")):
        name, _, value = limit.partition(": ")
        least, _, most = limit.partition("x")
        if name == "required":
            yield " Required."
        elif name == "default":
            yield f" Default: `{value}`."
        elif least:
            yield f" From {least.rstrip('<=')} to {most.lstrip('<=')}."
        else:
            yield f" At least {most.lstrip('>=')}."


def _is_argument(parameter: Any) -> bool:
    return bool(parameter.param_type_name == "argument")


def _argument(parameter: Any) -> str:
    several = "..." if parameter.nargs == -1 else ""
    named = f"{parameter.metavar}{several}"
    return named if parameter.required else f"[{named}]"


def _notes(epilog: str) -> Iterator[str]:
    """What follows the options: paragraphs, and examples, which are indented."""
    examples: list[str] = []
    for part in re.split(r"\n\s*\n", epilog.replace("\b\n", "").strip("\n")):
        if part.startswith("    "):
            examples += [line[4:] for line in part.splitlines()]
            continue
        if examples:
            yield block("\n".join(examples), "sh")
            examples = []
        yield prose(part)
    if examples:
        yield block("\n".join(examples), "sh")
