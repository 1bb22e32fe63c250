"""What the packages offer at their roots: signatures and docstrings."""

import ast
import inspect
import re
import sys
from collections.abc import Iterator, Mapping
from enum import Enum
from textwrap import dedent
from types import ModuleType
from typing import Any, get_args

from pydantic import BaseModel

import producer
import registry_api_v2_client
from push_queue.docstrings import described, docstring
from scripts.reference.markdown import block, code, paragraphs, prose, table
from scripts.reference.models import fields, members
from scripts.reference.signatures import annotation, definition_of, signature, value

ELSEWHERE = {
    "Attempt": "job-hash.md#attempts",
    "BlobStatus": "job-hash.md#blobs",
    "JobState": "job-hash.md#states",
    "JobStatus": "job-hash.md#fields",
    "PushJob": "job-hash.md#what-was-asked-for",
    "Settings": "settings.md",
    "WorkerInfo": "job-hash.md#workers",
}
"""Models whose fields have a page of their own."""

_SECTION = re.compile(r"(Args|Attributes|Raises):\n(.*)", re.DOTALL)
_OURS = ("producer", "push_queue", "registry_api_v2_client")


def queue() -> str:
    """The queue's library."""
    return _package(producer)


def client() -> str:
    """The registry client's."""
    return _package(registry_api_v2_client)


def _package(package: ModuleType) -> str:
    offered = {name: getattr(package, name) for name in package.__all__}
    errors = {name: one for name, one in offered.items() if _is_error(one)}
    others = {name: one for name, one in offered.items() if name not in errors}
    functions = {name: one for name, one in others.items() if inspect.isfunction(one)}
    parts = [_function(name, one) for name, one in functions.items()]
    parts += [_other(name, one) for name, one in others.items() if name not in functions]
    return "\n\n".join([*parts, f"### Errors of {package.__name__}", _errors(errors)])


def _is_error(thing: Any) -> bool:
    return isinstance(thing, type) and issubclass(thing, Exception)


def _errors(errors: dict[str, type[Exception]]) -> str:
    return table(
        ("error", "is a", "meaning"),
        (
            (code(name), code(one.__bases__[0].__name__), prose(docstring(one).split("\n\n")[0]))
            for name, one in errors.items()
        ),
    )


def _function(name: str, function: Any) -> str:
    return "\n\n".join(
        [f"### {name}", block(signature(name, function)), _text(docstring(function))]
    )


def _other(name: str, thing: Any) -> str:
    parts = _class(thing) if isinstance(thing, type) else _alias(thing)
    return "\n\n".join([f"### {name}", *parts])


def _alias(alias: Any) -> Iterator[str]:
    """A name for a type."""
    text = re.sub(r"\b(?:\w+\.)+(\w+)", r"\1", str(alias))
    yield f"One of {', '.join(map(code, get_args(alias)))}." if "Literal" in text else code(text)


def _class(cls: type) -> Iterator[str]:
    if _is_written(make := vars(cls).get("__init__"), cls):
        yield block(signature(cls.__name__, make))
    yield _text(docstring(cls))
    if cls.__name__ in ELSEWHERE:
        yield f"[Its fields]({ELSEWHERE[cls.__name__]})."
    elif issubclass(cls, Enum):
        yield members(cls)
    elif issubclass(cls, BaseModel):
        yield fields(cls)
    elif rows := list(_fields(cls)):
        yield table(("field", "type", "default", "meaning"), rows)
    if not issubclass(cls, BaseModel):
        yield from _members(cls)


def _is_written(function: Any, cls: type) -> bool:
    """Whether the class defines it itself; dataclasses and protocols get theirs from Python."""
    body = getattr(function, "__code__", None)
    return body is not None and body.co_filename == inspect.getfile(cls)


def _fields(cls: type) -> Iterator[tuple[str, str, str, str]]:
    meanings = described(cls)
    for field in getattr(definition_of(cls), "body", []):
        if not isinstance(field, ast.AnnAssign) or ast.unparse(field.target).startswith("_"):
            continue
        name = ast.unparse(field.target)
        default = _default(field.value, vars(sys.modules[cls.__module__]))
        yield (
            code(name),
            code(annotation(field.annotation)),
            default,
            prose(meanings.get(name, "")),
        )


def _default(expression: ast.expr | None, names: Mapping[str, Any]) -> str:
    if isinstance(expression, ast.Call):
        # `field(...)` of a dataclass says what makes the default, or only how the field is shown.
        made_by = [one.value for one in expression.keywords if one.arg == "default_factory"]
        return "".join(code(f"{ast.unparse(factory)}()") for factory in made_by)
    return code(value(expression, names)) if expression else ""


def _members(cls: type) -> Iterator[str]:
    """Those of the class itself first, and each once."""
    shown = set()
    for member, found in _vars(cls):
        function = getattr(found, "__func__", getattr(found, "fget", found))
        text = inspect.getdoc(found)
        if member in shown or not text or not inspect.isfunction(inspect.unwrap(function)):
            continue
        shown.add(member)
        yield f"#### {cls.__name__}.{member}"
        if isinstance(found, property):
            kind = signature(member, function).partition(" -> ")[2]
            yield block(f"{member}: {kind}")
        else:
            yield block(signature(member, inspect.unwrap(function)))
        yield _text(text)


def _vars(cls: type) -> Iterator[tuple[str, Any]]:
    for base in cls.__mro__:
        if base.__module__.startswith(_OURS):
            yield from (item for item in vars(base).items() if not item[0].startswith("_"))


def _text(text: str) -> str:
    """A docstring: examples as they are, what is raised and taken as lists."""
    parts = [_part(part) for part in re.split(r"\n\n(?! )", text.replace("\n\n::\n", "\n::\n"))]
    return "\n\n".join(part for part in parts if part)


def _part(part: str) -> str:
    before, literal, example = part.partition("::\n\n")
    if literal:
        return "\n\n".join(filter(None, [paragraphs(before), block(dedent(example).rstrip())]))
    if part.startswith("Returns:"):
        return paragraphs(part)
    if section := _SECTION.match(part):
        items = re.split(r"\n(?=    \S)", section[2].rstrip())
        return "\n".join([f"{section[1]}:\n", *(f"- {_item(item)}" for item in items)])
    return paragraphs(part)


def _item(item: str) -> str:
    name, colon, text = " ".join(item.split()).partition(": ")
    return f"{code(name)}: {prose(text)}" if colon else prose(name)
