"""The JSON schemas of models, with what the docstrings below their fields say."""

from collections.abc import Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import GenerateJsonSchema
from pydantic_core import core_schema

from push_queue.docstrings import as_markdown, described, docstring

Schema = dict[str, Any]

SCHEMAS = "#/components/schemas/{model}"
"""Where a schema is in the document."""


class DescribedSchema(GenerateJsonSchema):
    """Describes models, their fields, and the members of enumerations."""

    def model_schema(self, schema: core_schema.ModelSchema) -> Schema:
        """The schema of a model and of its fields."""
        cls: type = schema["cls"]
        made = super().model_schema(schema)
        for name, text in described(cls).items():
            if field := made.get("properties", {}).get(name):
                field["description"] = as_markdown(text)
        return {**made, "description": as_markdown(docstring(cls))}

    def generate_inner(self, schema: Any) -> Schema:
        """Any schema. That of an enumeration says what each of its members means."""
        made = super().generate_inner(schema)
        # Not in `enum_schema`, whose description pydantic replaces by the docstring alone.
        if schema["type"] == "enum" and (named := self.get_schema_from_definitions(made["$ref"])):
            named["description"] = _of_enumeration(schema["cls"])
        return made

    def field_title_should_be_set(self, schema: Any) -> bool:
        """Never: a title would only say the name again."""
        return False


def _of_enumeration(cls: type[Enum]) -> str:
    meanings = described(cls)
    members = (f"- `{one.value}`: {as_markdown(meanings[one.name])}" for one in cls)
    return "\n".join((as_markdown(docstring(cls)), "", *members))


def parameters_of(query: type[BaseModel]) -> Mapping[str, Schema]:
    """The schema of each parameter of a query, by its name."""
    schema = query.model_json_schema(ref_template=SCHEMAS, schema_generator=DescribedSchema)
    return {name: _without_null(field) for name, field in schema["properties"].items()}


def _without_null(schema: Schema) -> Schema:
    """A parameter that may be left out; there is no null in a query."""
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if not options:
        return schema
    (option,) = options
    return {**option, "description": schema["description"]}
