"""What the docstrings below fields and members say, which Python itself does not keep."""

import ast
import inspect
from collections.abc import Iterator
from functools import cache
from itertools import pairwise
from textwrap import dedent
from typing import Any

_OURS = ("producer", "push_queue", "registry_api_v2_client", "worker")


@cache
def described(cls: type) -> dict[str, str]:
    """The docstring below each field of a class, or of one of its bases, by the field's name."""
    return {
        name: text
        for base in reversed(cls.__mro__)
        if base.__module__.startswith(_OURS) and "[" not in base.__name__
        for name, text in _below_fields(base)
    }


def _below_fields(cls: type) -> Iterator[tuple[str, str]]:
    (definition,) = ast.parse(dedent(inspect.getsource(cls))).body
    body = getattr(definition, "body", [])
    for field, after in pairwise(body):
        match field, after:
            case (
                ast.AnnAssign(target=ast.Name(id=name)) | ast.Assign(targets=[ast.Name(id=name)]),
                ast.Expr(value=ast.Constant(value=str(text))),
            ):
                yield name, inspect.cleandoc(text)


def docstring(thing: Any) -> str:
    """The docstring of a class or function; an error if it has none."""
    text = inspect.getdoc(thing)
    if not text:
        raise ValueError(f"{thing!r} has no docstring")
    return text
