"""The type of a value in words, from its JSON schema."""

from collections.abc import Iterator, Mapping
from typing import Any

from scripts.reference.markdown import code

Schema = Mapping[str, Any]

MOST_CHOICES = 6
"""An enumeration of more is called by its name."""

_NAMES = {
    "string": "text",
    "integer": "whole number",
    "number": "number",
    "boolean": "true or false",
    "object": "object",
    "array": "list",
}
_FORMATS = {"date-time": "time", "path": "path"}


def words(schema: Schema, definitions: Schema) -> str:
    """Such as ``whole number from 1 to 100``; models are called by their names."""
    name = schema.get("$ref", "").rpartition("/")[2]
    if name and len(definitions[name].get("enum", ())) not in range(1, MOST_CHOICES + 1):
        return str(name)
    if name:
        return words(definitions[name], definitions)
    options = [one for one in schema.get("anyOf", ()) if one.get("type") != "null"]
    if [one["type"] for one in options if "type" in one] == ["string", "integer"]:
        return "size, as `100GB`"
    if options:
        return " or ".join(words(one, definitions) for one in options)
    return _plain(schema, definitions)


def _plain(schema: Schema, definitions: Schema) -> str:
    match schema:
        case {"enum": [*values, last]}:
            return f"{', '.join(code(value) or 'empty' for value in values)} or {code(last)}"
        case {"const": value}:
            return code(str(value))
        case {"type": "array", "items": items}:
            return f"list of {words(items, definitions)}"
        case {"format": form} if form in _FORMATS:
            return _FORMATS[form]
    return " ".join([_NAMES[schema["type"]], *_range(schema)])


def _range(schema: Schema) -> Iterator[str]:
    least, most = schema.get("minimum"), schema.get("maximum")
    if least is not None and most is not None:
        yield f"from {least} to {most}"
    elif schema.get("exclusiveMinimum") == 0:
        yield "above 0"
