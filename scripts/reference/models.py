"""Tables of the fields of models, with what the docstrings below them say."""

from collections.abc import Collection, Iterator
from enum import Enum
from typing import Any, get_args

from pydantic import BaseModel, ByteSize, SecretStr
from pydantic.json_schema import JsonSchemaMode

from push_queue.docstrings import described
from scripts.reference.markdown import code, prose, table
from scripts.reference.types import words


def fields(
    model: type[BaseModel], mode: JsonSchemaMode = "serialization", only: Collection[str] = ()
) -> str:
    """The fields of a model, or only some, as it is answered; as it is taken, with defaults."""
    schema = model.model_json_schema(mode=mode)
    rows = []
    for name, field in model.model_fields.items():
        if field.exclude or (only and name not in only):
            continue
        default = ["required" if field.is_required() else shown(field.default)]
        rows.append(
            (
                code(name),
                words(schema["properties"][name], schema.get("$defs", {})),
                *(default if mode == "validation" else ()),
                meaning(model, name),
            )
        )
    defaults = ("default",) if mode == "validation" else ()
    return table(("field", "type", *defaults, "meaning"), rows)


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models in a type, each followed by those in its fields."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models_in(field.annotation)
    for argument in get_args(annotation):
        yield from models_in(argument)


def members(enumeration: type[Enum]) -> str:
    """The values of an enumeration."""
    return table(
        ("value", "meaning"),
        ((code(str(one.value)), meaning(enumeration, one.name)) for one in enumeration),
    )


def meaning(of: type, name: str) -> str:
    """What the docstring below a field or member says."""
    try:
        return prose(described(of)[name])
    except KeyError:
        raise ValueError(
            f"{of.__module__}.{of.__name__}.{name} has no docstring below it"
        ) from None


def shown(default: Any) -> str:
    """A default as it is typed; nothing for none."""
    match default:
        case None | ():
            return ""
        case dict() if not default:
            return ""
        case ByteSize() as size:
            text = size.human_readable(decimal=True).replace(".0", "")
        case SecretStr() as secret:
            text = secret.get_secret_value()
        case tuple() as values:
            text = ",".join(values)
        case bool() as flag:
            text = str(flag).lower()
        case float() as number:
            text = f"{number:g}"
        case _:
            text = str(default)
    return code(text)
