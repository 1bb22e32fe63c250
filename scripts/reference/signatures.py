"""Signatures as they are written in the source, with the values of constants."""

import ast
import inspect
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from textwrap import dedent
from typing import Any

WIDTH = 88

_SHOWN = ("asynccontextmanager", "classmethod", "contextmanager", "staticmethod")
"""The decorators that say how a function is called."""


def definition_of(thing: Any) -> ast.stmt:
    """The definition of a class or function, parsed."""
    return ast.parse(dedent(inspect.getsource(thing))).body[0]


def signature(name: str, function: Any) -> str:
    """``async name(parameter: type = default) -> type``, one parameter a line if it is long."""
    definition = definition_of(function)
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        raise TypeError(f"{name} is no function")
    shown = [one.id for one in definition.decorator_list if isinstance(one, ast.Name)]
    decorators = "".join(f"@{one}\n" for one in shown if one in _SHOWN)
    start = f"{'async ' if inspect.iscoroutinefunction(function) else ''}{name}"
    end = annotation(definition.returns) if definition.returns else "None"
    parameters = list(_parameters(definition.args, function.__globals__))
    return decorators + _written(start, parameters, "" if end == "None" else f" -> {end}")


def _written(start: str, parameters: list[str], end: str) -> str:
    line = f"{start}({', '.join(parameters)}){end}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{start}(", *(f"    {one}," for one in parameters), f"){end}"])


def _parameters(arguments: ast.arguments, names: Mapping[str, Any]) -> Iterator[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    without = len(positional) - len(arguments.defaults)
    defaults = [None] * without + list(arguments.defaults)
    for argument, default in zip(positional, defaults, strict=True):
        if argument.arg not in ("self", "cls"):
            yield _parameter(argument, default, names)
    if arguments.vararg:
        yield f"*{_parameter(arguments.vararg, None, names)}"
    elif arguments.kwonlyargs:
        yield "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(argument, default, names)
    if arguments.kwarg:
        yield f"**{_parameter(arguments.kwarg, None, names)}"


def _parameter(argument: ast.arg, default: ast.expr | None, names: Mapping[str, Any]) -> str:
    kind = f": {annotation(argument.annotation)}" if argument.annotation else ""
    return f"{argument.arg}{kind}{f' = {value(default, names)}' if default else ''}"


def annotation(expression: ast.expr) -> str:
    """A type as it is written, without the quotes of one that is defined further down."""
    return re.sub(r"'([A-Z]\w*(?: \| None)?)'", r"\1", ast.unparse(expression))


def value(default: ast.expr, names: Mapping[str, Any]) -> str:
    """A default as it is written; numbers, texts and paths in place of their names."""
    match names.get(default.id) if isinstance(default, ast.Name) else None:
        case int() | float() | str() as constant:
            return repr(constant)
        case Path() as path:
            return f"Path({str(path)!r})"
    return ast.unparse(default)
