"""What deploy/ has for Prometheus and Grafana, and the metrics that it may name."""

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from producer.api.metrics.families import FAMILIES
from tests.support.servers import REPOSITORY_ROOT
from worker.metrics.specs import SPECS

DEPLOY = REPOSITORY_ROOT / "deploy"
ALERTS = DEPLOY / "prometheus" / "alerts.yml"
ALERT_TESTS = DEPLOY / "prometheus" / "alerts_test.yml"
SCRAPE_CONFIG = DEPLOY / "prometheus" / "prometheus.yml"
DASHBOARD = DEPLOY / "grafana" / "push-queue.json"

_OF_PROMETHEUS = {"job", "instance", "le"}
_OF_PROCESSES = ("cpu_seconds_total", "resident_memory_bytes", "open_fds", "start_time_seconds")
_STRING = re.compile(r'"[^"]*"')
_SERIES = re.compile(r"\b((?:push_queue|process)_\w+|up)\b(?:\{([^}]*)\})?")
_LABEL = re.compile(r"(\w+)\s*[!=]")


def series() -> dict[str, set[str]]:
    """Every series that there is, with its labels."""
    known: dict[str, set[str]] = {
        "up": set(),
        **{f"process_{name}": set() for name in _OF_PROCESSES},
    }
    for metric in (*FAMILIES, *SPECS):
        endings = ("_bucket", "_sum", "_count") if metric.kind == "histogram" else ("",)
        known |= {metric.name + ending: set(metric.labels) for ending in endings}
    return known


def unknown(query: str) -> list[str]:
    """Series and labels that the query names and that do not exist."""
    known = series()
    wrong = []
    for name, selector in _SERIES.findall(_STRING.sub('""', query)):
        if name not in known:
            wrong.append(name)
            continue
        labels = set(_LABEL.findall(selector))
        wrong += [f"{name}{{{label}}}" for label in labels - known[name] - _OF_PROMETHEUS]
    return wrong


def alerts() -> Mapping[str, Mapping[str, Any]]:
    """The alerts by name."""
    (group,) = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for rule in group["rules"]}


def dashboard() -> Any:
    return json.loads(DASHBOARD.read_text())


def dashboard_queries() -> Iterator[tuple[str, str]]:
    """The title of each panel with each of its queries."""
    for panel in dashboard()["panels"]:
        for target in panel.get("targets", ()):
            yield panel["title"], target["expr"]


def for_prometheus(query: str) -> str:
    """The query as Grafana would send it."""
    variables = {"$__rate_interval": "5m", "$server": ".*", "$worker": ".*"}
    for name, value in variables.items():
        query = query.replace(name, value)
    return query
