"""The OpenAPI document (3.1), made from the routes and the models that check the requests."""

import re
from collections.abc import Iterable, Iterator
from http import HTTPMethod, HTTPStatus
from typing import Any

from pydantic import BaseModel, TypeAdapter
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from producer.api.access.authentication import COOKIE
from producer.api.events.stream import MEDIA_TYPE as EVENT_STREAM
from producer.api.inputs import JSON
from producer.api.models.service import Problem
from producer.api.problems import MEDIA_TYPE as PROBLEM
from producer.api.refusals import MEANINGS, refusals_of
from producer.api.route import Models, Route
from producer.api.uploads.handlers import TAR
from producer.api.uploads.requests import HEADER_SCHEMAS, OFFSET
from push_queue.jobs.events import POSITION
from push_queue.models.job import JobId

_SCHEMA = "#/components/schemas/{model}"
_TOKEN = "token"
_SESSION = "session"
_BYTES = "application/octet-stream"
_WITHOUT_TAR = (
    HTTPStatus.NOT_MODIFIED,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
)
"""The status alone answers a range or a condition that the tar does not meet."""
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")

Document = dict[str, Any]


def describe(routes: Iterable[Route], version: str, *, with_tokens: bool) -> Document:
    """The document of these routes."""
    routes = tuple(routes)
    references, definitions = models_json_schema(
        sorted(set(_models(routes)), key=lambda used: (used[0].__name__, used[1])),
        ref_template=_SCHEMA,
    )
    paths: dict[str, Document] = {}
    for route in routes:
        operation = _operation(route, references)
        for status in sorted(refusals_of(route, with_tokens=with_tokens)):
            ref = f"#/components/responses/{_name(status)}"
            operation["responses"].setdefault(str(status.value), {"$ref": ref})
        if with_tokens:
            operation["security"] = _security(route)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    problem = {PROBLEM: {"schema": references[Problem, "serialization"]}}
    return {
        "openapi": "3.1.0",
        "info": {"title": "Registry push queue", "version": version},
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "responses": {
                _name(status): {"description": meaning, "content": problem}
                for status, meaning in MEANINGS.items()
            },
            "securitySchemes": {
                _TOKEN: {"type": "http", "scheme": "bearer"},
                _SESSION: {"type": "apiKey", "in": "cookie", "name": COOKIE},
            },
        },
    }


def _security(route: Route) -> list[Document]:
    """Each is enough. OpenAPI 3.1 has the role beside the scheme."""
    return [{_TOKEN: [route.role]}, {_SESSION: [route.role]}] if route.role else []


def _name(status: HTTPStatus) -> str:
    """``Not Found`` is ``NotFound``."""
    return status.phrase.replace(" ", "")


def _models(routes: Iterable[Route]) -> Iterator[tuple[type[BaseModel], JsonSchemaMode]]:
    yield Problem, "serialization"
    for route in routes:
        for model in route.answers:
            yield model, "serialization"
        for model in route.takes:
            yield model, "validation"


def _operation(route: Route, references: Any) -> Document:
    def one_of(models: Models, mode: JsonSchemaMode) -> Document:
        schemas = [references[model, mode] for model in models]
        schema = schemas[0] if len(schemas) == 1 else {"oneOf": schemas}
        if route.stream:
            text = {"type": "string", "contentMediaType": JSON, "contentSchema": schema}
            return {"content": {EVENT_STREAM: {"schema": text}}}
        return {"content": {JSON: {"schema": schema}}}

    operation: Document = {
        "operationId": route.handler.__name__,
        "summary": (route.handler.__doc__ or "").partition("\n")[0],
        "parameters": list(_parameters(route)),
        "responses": {
            str(route.status.value): {
                "description": route.status.phrase,
                **(one_of(route.answers, "serialization") if route.answers else {}),
            },
        },
    }
    if route.may_be_empty:
        operation["responses"]["204"] = {"description": HTTPStatus.NO_CONTENT.phrase}
    if route.gives_tar:
        for status in (HTTPStatus.OK, HTTPStatus.PARTIAL_CONTENT):
            answer = {"description": status.phrase, "content": {TAR: {}}}
            operation["responses"][str(status.value)] = answer
        for status in _WITHOUT_TAR:
            operation["responses"][str(status.value)] = {"description": status.phrase}
    if route.takes:
        operation["requestBody"] = {"required": True, **one_of(route.takes, "validation")}
    if route.takes_tar:
        operation["requestBody"] = {"required": True, "content": {_BYTES: {}}}
    return operation


def _parameters(route: Route) -> Iterator[Document]:
    job_id = TypeAdapter(JobId).json_schema()
    part: Document = {"type": "string", "pattern": "^[^/]+$"}
    parts = ("upload_id", "registry", "worker_id", "webhook")
    named: dict[str, Document] = {"job_id": job_id, **dict.fromkeys(parts, part)}
    for name in _PATH_PARAMETER.findall(route.path):
        yield {"name": name, "in": "path", "required": True, "schema": named[name]}
    for name in route.headers:
        schema = HEADER_SCHEMAS.get(name, {"type": "string"})
        required = route.method == HTTPMethod.PATCH and name == OFFSET
        yield {"name": name, "in": "header", "required": required, "schema": schema}
    if route.stream:
        position = {"type": "string", "pattern": POSITION}
        yield {"name": "Last-Event-ID", "in": "header", "schema": position}
    if route.key:
        yield {"name": "Idempotency-Key", "in": "header", "schema": job_id}
    query = route.query.model_json_schema() if route.query else {}
    for name, schema in query.get("properties", {}).items():
        schema = _without_null(schema, query.get("$defs", {}))
        yield {"name": name, "in": "query", "schema": schema}


def _without_null(schema: Document, definitions: dict[str, Document]) -> Document:
    """A parameter that may be left out; there is no null in a query."""
    options = [option for option in schema.get("anyOf", ()) if option.get("type") != "null"]
    if not options:
        return schema
    (option,) = options
    name = option.get("$ref", "").rpartition("/")[2]
    return definitions[name] if name else option
