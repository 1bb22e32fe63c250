"""The OpenAPI document (3.1), made from the routes and the models that check the requests."""

import re
from collections.abc import Iterable, Iterator, Mapping
from http import HTTPMethod, HTTPStatus
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import JsonSchemaMode, models_json_schema

from producer.api.access.authentication import COOKIE
from producer.api.events.stream import MEDIA_TYPE as EVENT_STREAM
from producer.api.inputs import JSON
from producer.api.models.service import Problem
from producer.api.parameters import ANSWERED, HEADERS, PARTS
from producer.api.problems import MEDIA_TYPE as PROBLEM
from producer.api.refusals import MEANINGS, refusals_of
from producer.api.route import V1, Models, Route
from producer.api.schemas import SCHEMAS, DescribedSchema, parameters_of
from producer.api.uploads.handlers import TAR
from producer.api.uploads.requests import OFFSET
from push_queue.docstrings import as_markdown, docstring

_TOKEN = "token"
_SESSION = "session"
_BYTES = {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}}
_WITHOUT_TAR = (
    HTTPStatus.NOT_MODIFIED,
    HTTPStatus.PRECONDITION_FAILED,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
)
"""The status alone answers a range or a condition that the tar does not meet."""
_LATER = (HTTPStatus.TOO_MANY_REQUESTS, HTTPStatus.SERVICE_UNAVAILABLE)
"""It says when to ask again."""
_PATH_PARAMETER = re.compile(r"\{(\w+)\}")
_END_OF_SENTENCE = re.compile(r"(?<=\.)\s")

_ABOUT = (
    "A background upload queue for container images. Every error is `application/problem+json` "
    "(RFC 9457). A value that is not set is null. Times are ISO 8601 in UTC."
)
_ABOUT_TOKENS = "A token of `PUSH_QUEUE_API_TOKENS`, or one of a CI system (OpenID Connect)."
_ABOUT_SESSIONS = "For browsers: the cookie with which `POST /api/v1/session` answers."

Document = dict[str, Any]


def describe(routes: Iterable[Route], version: str, *, with_tokens: bool) -> Document:
    """The document of these routes."""
    routes = tuple(routes)
    references, definitions = models_json_schema(
        sorted(set(_models(routes)), key=lambda used: (used[0].__name__, used[1])),
        ref_template=SCHEMAS,
        schema_generator=DescribedSchema,
    )
    problem = {PROBLEM: {"schema": references[Problem, "serialization"]}}
    paths: dict[str, Document] = {}
    refusals: set[HTTPStatus] = set()
    for route in routes:
        operation = _operation(route, references)
        operation["description"] = _description(route, with_tokens=with_tokens)
        refused = refusals_of(route, with_tokens=with_tokens)
        refusals |= refused
        for status in sorted(refused):
            ref = f"#/components/responses/{_name(status)}"
            operation["responses"].setdefault(str(status.value), {"$ref": ref})
        if route.takes_tar:
            conflict = _refusal(HTTPStatus.CONFLICT, (OFFSET,), problem)
            operation["responses"][str(HTTPStatus.CONFLICT.value)] = conflict
        if with_tokens:
            operation["security"] = _security(route)
        paths.setdefault(route.path, {})[route.method.lower()] = operation
    return {
        "openapi": "3.1.0",
        "info": {"title": "Registry push queue", "version": version, "description": _ABOUT},
        "servers": [{"url": "/"}],
        "paths": paths,
        "components": {
            "schemas": definitions["$defs"],
            "responses": {
                _name(status): _refusal(
                    status, ("Retry-After",) if status in _LATER else (), problem
                )
                for status in MEANINGS
                if status in refusals
            },
            "securitySchemes": {
                _TOKEN: {"type": "http", "scheme": "bearer", "description": _ABOUT_TOKENS},
                _SESSION: {
                    "type": "apiKey",
                    "in": "cookie",
                    "name": COOKIE,
                    "description": _ABOUT_SESSIONS,
                },
            },
        },
    }


def _refusal(status: HTTPStatus, headers: Iterable[str], content: Document) -> Document:
    return {"description": MEANINGS[status], "headers": _headers(headers), "content": content}


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


def _description(route: Route, *, with_tokens: bool) -> str:
    """All that the handler's docstring says, and who may."""
    text = _meaning(route)
    return f"{text}\n\nRole: `{route.role}`." if with_tokens and route.role else text


def _meaning(route: Route) -> str:
    return as_markdown(docstring(route.handler))


def _operation(route: Route, references: Any) -> Document:
    def any_of(models: Models, mode: JsonSchemaMode) -> Document:
        schemas = [references[model, mode] for model in models]
        schema = schemas[0] if len(schemas) == 1 else {"anyOf": schemas}
        if route.stream:
            text = {"type": "string", "contentMediaType": JSON, "contentSchema": schema}
            return {"content": {EVENT_STREAM: {"schema": text}}}
        return {"content": {JSON: {"schema": schema}}}

    operation: Document = {
        "operationId": route.handler.__name__,
        "summary": _END_OF_SENTENCE.split(_meaning(route))[0],
        "tags": [route.path.removeprefix(V1).split("/")[1]],
        "parameters": list(_parameters(route)),
        "responses": {
            str(route.status.value): {
                "description": route.status.phrase,
                "headers": _headers(route.answered),
                **(any_of(route.answers, "serialization") if route.answers else {}),
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
        operation["requestBody"] = {"required": True, **any_of(route.takes, "validation")}
    if route.takes_tar:
        operation["requestBody"] = {"required": True, "content": _BYTES}
    return operation


def _headers(names: Iterable[str]) -> Document:
    """Headers of an answer."""
    return {name: _beside_schema(ANSWERED[name]) for name in names}


def _parameters(route: Route) -> Iterator[Document]:
    for name in _PATH_PARAMETER.findall(route.path):
        yield _parameter(name, "path", PARTS[name], required=True)
    for name in route.headers:
        required = route.method == HTTPMethod.PATCH and name == OFFSET
        yield _parameter(name, "header", HEADERS[name], required=required)
    for name, schema in parameters_of(route.query).items() if route.query else ():
        yield _parameter(name, "query", schema)


def _parameter(
    name: str, place: str, described: Mapping[str, Any], *, required: bool = False
) -> Document:
    return {"name": name, "in": place, "required": required, **_beside_schema(described)}


def _beside_schema(described: Mapping[str, Any]) -> Document:
    """A schema, whose description stands beside it."""
    schema = {**described}
    return {"description": schema.pop("description"), "schema": schema}
