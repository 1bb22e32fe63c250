"""The requests of the HTTP API, with what they take and answer."""

import inspect
from collections.abc import Iterable, Iterator

from pydantic import BaseModel, RootModel
from pydantic.json_schema import JsonSchemaMode

from producer.api.parameters import ANSWERED, HEADERS, PARTS
from producer.api.route import Route
from producer.api.routes import ROUTES
from push_queue.docstrings import docstring
from push_queue.jobs.events import JobEvent
from push_queue.models.fleet import WorkerInfo
from push_queue.models.job_status import Attempt, BlobStatus, JobProgress, JobStatus
from scripts.reference.markdown import code, paragraphs, prose, table
from scripts.reference.models import fields, models_in
from scripts.reference.types import words

Model = type[BaseModel]

ELSEWHERE: dict[Model, str] = {
    JobStatus: "job-hash.md#fields",
    BlobStatus: "job-hash.md#blobs",
    Attempt: "job-hash.md#attempts",
    JobEvent: "job-hash.md#events",
    JobProgress: "job-hash.md#progress",
    WorkerInfo: "job-hash.md#workers",
}
"""Models that are in Redis, too, where their fields are described."""


def requests() -> str:
    """Every request, who may send it, and what it does."""
    return table(
        ("request", "role", "takes", "answers", "what it does"),
        (
            (
                code(f"{route.method} {route.path}"),
                code(route.role or ""),
                ", ".join(map(_link, _taken(route))),
                " or ".join(map(_link, route.answers)) or f"{route.status:d}",
                prose(docstring(route.handler)),
            )
            for route in ROUTES
        ),
    )


def parameters() -> str:
    """The parts of paths, and the headers of requests and of answers: what no model has."""
    return table(
        ("parameter", "in", "meaning"),
        (
            (code(name), place, prose(schema["description"]))
            for place, named in (("path", PARTS), ("header", HEADERS), ("answer", ANSWERED))
            for name, schema in named.items()
        ),
    )


def taken() -> str:
    """The models of parameters and bodies."""
    return _described((model for route in ROUTES for model in _taken(route)), "validation")


def answered() -> str:
    """The models of answers, and those that are parts of them."""
    answers = (model for route in ROUTES for model in route.answers)
    return _described((part for model in answers for part in models_in(model)), "serialization")


def _taken(route: Route) -> tuple[Model, ...]:
    return (*([route.query] if route.query else []), *route.takes)


def _link(model: Model) -> str:
    return f"[{model.__name__}]({ELSEWHERE.get(model, f'#{model.__name__.lower()}')})"


def _described(models: Iterable[Model], mode: JsonSchemaMode) -> str:
    by_name = {model.__name__: model for model in models if model not in ELSEWHERE}
    return "\n\n".join(
        part for name in sorted(by_name) for part in _description(by_name[name], mode)
    )


def _description(model: Model, mode: JsonSchemaMode) -> Iterator[str]:
    yield f"### {model.__name__}"
    yield paragraphs(docstring(model))
    base, own = model.__bases__[0], inspect.get_annotations(model)
    if issubclass(model, RootModel):
        schema = model.model_json_schema(mode=mode)
        yield f"A {words(schema, schema.get('$defs', {}))}."
    elif not own:
        yield f"The fields of {_link(base)}."
    elif base in ELSEWHERE:
        yield f"The fields of {_link(base)}, and:"
        yield fields(model, mode, only=own.keys())
    else:
        yield fields(model, mode)
