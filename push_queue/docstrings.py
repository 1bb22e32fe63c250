"""What the docstrings below fields and members say, which Python itself does not keep."""

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from itertools import pairwise
from typing import Any

_OURS = ("producer", "push_queue", "registry_api_v2_client", "worker")
_ROLE = re.compile(r":\w+:`~?\.?([^`]+)`")


@cache
def described(cls: type) -> dict[str, str]:
    """The docstring below each field of a class, or of one of its bases, by the field's name."""
    return {
        name: text
        for base in reversed(cls.__mro__)
        if base.__module__.startswith(_OURS)
        for name, text in _classes(base.__module__).get(base.__qualname__, {}).items()
    }


def docstring(thing: Any) -> str:
    """The docstring of a class or function; an error if it has none."""
    text = inspect.getdoc(thing)
    if not text:
        raise ValueError(f"{thing!r} has no docstring")
    return text


def as_markdown(text: str) -> str:
    """A docstring with each paragraph on one line, and code as Markdown has it."""
    text = _ROLE.sub(lambda found: f"``{found[1].rpartition('.')[2]}``", text)
    paragraphs = re.split(r"\n\s*\n", text.strip())
    return "\n\n".join(" ".join(part.replace("``", "`").split()) for part in paragraphs)


@cache
def _classes(module: str) -> Mapping[str, Mapping[str, str]]:
    """The docstrings below the fields of each class of a module, which is read once for all."""
    tree = ast.parse(inspect.getsource(sys.modules[module]))
    return {
        node.name: dict(_below_fields(node)) for node in tree.body if isinstance(node, ast.ClassDef)
    }


def _below_fields(definition: ast.ClassDef) -> Iterator[tuple[str, str]]:
    for field, after in pairwise(definition.body):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, inspect.cleandoc(text)
