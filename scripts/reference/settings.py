"""The settings: each with its type, its default, who reads it and what it is for."""

from collections.abc import Iterator, Mapping

from push_queue.docstrings import described, docstring
from push_queue.settings import ENV_PREFIX, Settings
from scripts.reference.markdown import paragraphs, prose
from scripts.reference.models import fields, models_in, shown
from scripts.reference.types import Schema, words

SECTIONS: Mapping[str, str] = {
    "redis_url": "Redis",
    "max_jobs": "Jobs and workers",
    "source_roots": "What workers may read and push",
    "registry_timeout_seconds": "Registries",
    "spool": "Uploads",
    "server": "The HTTP API",
    "metrics_host": "Metrics and checks of workers",
    "webhooks": "Webhooks",
    "log_format": "Logs",
}
"""By the first setting of each."""

_GUARANTEES = "../explanation/guarantees.md"

MORE: Mapping[str, str] = {
    "redis_routes": "../explanation/sizing.md#past-one-redis",
    "registry_max_rate": f"{_GUARANTEES}#registries-are-not-overloaded-and-are-waited-for",
    "fair_share_by": f"{_GUARANTEES}#teams-share-the-workers",
    "source_urls": "../explanation/security.md#tars-at-urls",
    "stores": "../how-to/archives.md#stores",
    "registry_auth": "#logins-of-registries",
    "spool": "http-api.md#uploading",
    "api_tokens": "http-api.md#who-may",
    "api_oidc": "http-api.md#tokens-of-ci-systems",
    "webhooks": "../how-to/webhooks.md",
    "metrics_port": "metrics.md",
    "log_format": "logging.md",
}
"""Where more is said of a setting."""

_EVERYBODY = "commands, servers, workers"

READERS = frozenset({"all", "commands", "servers", "workers"})


def settings() -> str:
    """Every setting, in the order of the model."""
    schemas = Settings.model_json_schema(by_alias=False)["properties"]
    return "\n\n".join(
        part for name in Settings.model_fields for part in _setting(name, schemas[name])
    )


def _setting(name: str, schema: Schema) -> Iterator[str]:
    readers, what = described(Settings)[name].split(": ", 1)
    if unknown := {*readers.lower().split(", ")} - READERS:
        raise ValueError(f"{name}: begin with who reads it, {unknown} is none of {READERS}")
    if name in SECTIONS:
        yield f"## {SECTIONS[name]}"
    yield f"### {ENV_PREFIX}{name.upper()}"
    facts = (_type(name, schema), _default(name), f"read by {_readers(readers)}")
    yield f"*{' · '.join(facts)}*"
    more = f" [More]({MORE[name]})." if name in MORE else ""
    yield f"{prose(what[0].upper() + what[1:])}{more}"
    for model in models_in(Settings.model_fields[name].annotation):
        yield f"`{model.__name__}`: {paragraphs(docstring(model))}"
        yield fields(model, "validation")


def _readers(names: str) -> str:
    *others, last = (_EVERYBODY if names == "All" else names.lower()).split(", ")
    return f"{', '.join(others)} and {last}" if others else last


def _type(name: str, schema: Schema) -> str:
    match schema:
        case {"type": "array"}:
            found = "comma-separated list"
        case {"type": "object"}:
            found = "JSON object"
        case _:
            found = words(schema, {})
    if name.endswith("_rate") and "size" in found:
        return "bytes a second, as `50MB`"
    return f"{found}, in seconds" if name.endswith("_seconds") else found


def _default(name: str) -> str:
    default = shown(Settings.model_fields[name].default)
    return f"default {default}" if default else "not set"
