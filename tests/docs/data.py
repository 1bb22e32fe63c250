"""Blocks that no shell and no Python runs: whether what reads them can read them."""

import configparser
import json
import re
import tomllib
from collections.abc import Callable
from email.parser import Parser
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any

import kubernetes_validate
import yaml

from tests.support.prometheus import promtool
from tests.support.schemas import check_by_schema

KUBERNETES = "1.30"


def check_json(text: str) -> None:
    json.loads(text)


def check_toml(text: str) -> None:
    tomllib.loads(text)


def check_ini(text: str) -> None:
    # Units of systemd repeat keys, and distinguish capitals.
    try:
        configparser.RawConfigParser(strict=False).read_string(text)
    except configparser.Error as error:
        raise ValueError(error) from None


def check_yaml(text: str) -> None:
    """It is YAML, and, where it is a whole file, what the schema of its reader asks."""
    try:
        # All scalars are text, so that `on:` is no truth value; tags of others do no harm.
        documents = list(yaml.load_all(text, yaml.BaseLoader))
    except yaml.YAMLError as error:
        raise ValueError(error) from None
    for document in documents:
        if isinstance(document, dict):
            if {"apiVersion", "kind"} <= document.keys():
                _check_kubernetes(text)
            for is_its, schema in _SCHEMAS:
                if is_its(document):
                    _check_schema(schema, text)


def check_http(text: str) -> None:
    """A request or response with a body of JSON, if any."""
    start, _, rest = text.partition("\n")
    assert "HTTP/1.1" in start, start
    message = Parser().parsestr(rest)
    assert not message.defects, message.defects
    if body := message.get_payload():
        json.loads(str(body))


def check_promql(text: str) -> None:
    """Comments say what each of the queries is."""
    queries = [query.strip() for query in re.split(r"^#.*\n", text, flags=re.MULTILINE)[1:]]
    rules = [{"record": "documented", "expr": query} for query in queries if query]
    with NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump({"groups": [{"name": "documented", "rules": rules}]}, file)
        checked = promtool("check", "rules", "--lint=none", file.name)
    assert checked.returncode == 0, checked.stderr


def _check_schema(schema: str, text: str) -> None:
    with NamedTemporaryFile("w", suffix=".yaml") as file:
        file.write(text)
        file.flush()
        check_by_schema(schema, Path(file.name))


def _check_kubernetes(text: str) -> None:
    for document in yaml.safe_load_all(text):
        group = document["apiVersion"].rpartition("/")[0]
        if not group or "." not in group or group.endswith(".k8s.io"):
            try:
                kubernetes_validate.validate(document, KUBERNETES, strict=True)
            except kubernetes_validate.ValidationError as error:
                raise ValueError(error) from None


def _is_gitlab(document: dict[str, Any]) -> bool:
    return any(isinstance(job, dict) and "script" in job for job in document.values())


_SCHEMAS: tuple[tuple[Callable[[dict[str, Any]], bool], str], ...] = (
    (lambda document: {"on", "jobs"} <= document.keys(), "vendor.github-workflows"),
    (lambda document: isinstance(document.get("services"), dict), "vendor.compose-spec"),
    (_is_gitlab, "vendor.gitlab-ci"),
)
"""What tells whole files from each other, and their schemas."""

CHECKS: dict[str, Callable[[str], None]] = {
    "json": check_json,
    "yaml": check_yaml,
    "toml": check_toml,
    "ini": check_ini,
    "http": check_http,
    "promql": check_promql,
    # Read by people alone; the site draws the second, and its build fails where it cannot.
    "text": lambda text: None,
    "mermaid": lambda text: None,
    # Compared with the example that it is, which is run.
    "groovy": lambda text: None,
}
