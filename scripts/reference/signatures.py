"""Signatures as they are written in the source."""

import ast
import inspect
from collections.abc import Iterator
from textwrap import dedent
from typing import Any

WIDTH = 88

Function = ast.FunctionDef | ast.AsyncFunctionDef


def definition_of(thing: Any) -> ast.stmt:
    """The definition of a class or function, parsed."""
    return ast.parse(dedent(inspect.getsource(thing))).body[0]


def signature(name: str, function: Any) -> str:
    """``async name(parameter: type = default) -> type``, one parameter a line if it is long."""
    definition = definition_of(function)
    if not isinstance(definition, Function):
        raise TypeError(f"{name} is no function")
    start = "async " if isinstance(definition, ast.AsyncFunctionDef) else ""
    end = f" -> {ast.unparse(definition.returns)}" if definition.returns else ""
    return written(f"{start}{name}", list(_parameters(definition.args)), end)


def written(start: str, parameters: list[str], end: str = "") -> str:
    """A call of these parameters, on one line if it fits there."""
    line = f"{start}({', '.join(parameters)}){end}"
    if len(line) <= WIDTH:
        return line
    return "\n".join([f"{start}(", *(f"    {one}," for one in parameters), f"){end}"])


def _parameters(arguments: ast.arguments) -> Iterator[str]:
    positional = [*arguments.posonlyargs, *arguments.args]
    without = len(positional) - len(arguments.defaults)
    defaults = [None] * without + list(arguments.defaults)
    for argument, default in zip(positional, defaults, strict=True):
        if argument.arg not in ("self", "cls"):
            yield _parameter(argument, default)
    if arguments.vararg:
        yield f"*{_parameter(arguments.vararg, None)}"
    elif arguments.kwonlyargs:
        yield "*"
    for argument, default in zip(arguments.kwonlyargs, arguments.kw_defaults, strict=True):
        yield _parameter(argument, default)
    if arguments.kwarg:
        yield f"**{_parameter(arguments.kwarg, None)}"


def _parameter(argument: ast.arg, default: ast.expr | None) -> str:
    kind = f": {ast.unparse(argument.annotation)}" if argument.annotation else ""
    return f"{argument.arg}{kind}{f' = {ast.unparse(default)}' if default else ''}"
