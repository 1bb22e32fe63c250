"""This machine's Prometheus in the network of the stack, where it finds workers by their name."""

import shutil
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import yaml

from tests.compose.faster import faster
from tests.compose.stack import PROJECT, Stack
from tests.compose.waiting import until
from tests.support.monitoring import ALERTS, SCRAPE_CONFIG, dashboard_queries, for_prometheus
from tests.support.processes import free_port
from tests.support.prometheus import Prometheus

PROGRAM = shutil.which("prometheus")
TOKEN = "/run/secrets/PUSH_QUEUE_TOKEN"
PORT = 9090
METRICS_PORT = 9200
STEP = "1s"
NO_RECEIVER = "webhook"
"""The stack has none, so what is asked about them finds nothing."""


class Watch:
    """What Prometheus has learnt since it was started."""

    def __init__(self, prometheus: Prometheus) -> None:
        self._prometheus = prometheus
        self._since = time.time()

    def firing(self) -> set[str]:
        """The alerts with short times that fire now."""
        return self._alerts('ALERTS{alertstate="firing",speed="faster"}')

    def fired(self) -> set[str]:
        """The alerts as operators have them that have ever fired."""
        return self._alerts(
            f'max_over_time(ALERTS{{alertstate="firing",speed=""}}[{self._age()}s])'
        )

    def seconds(self) -> float:
        """For how long the API has been watched."""
        return self.value("count_over_time(push_queue_redis_up[1h])") or 0

    def value(self, query: str) -> float | None:
        """The greatest value of a query."""
        return max(self._prometheus.query(query).values(), default=None)

    def broken_rules(self) -> list[str]:
        rules = [
            rule for group in self._prometheus.ask("rules")["groups"] for rule in group["rules"]
        ]
        return [f"{rule['name']}: {rule['health']}" for rule in rules if rule["health"] != "ok"]

    def empty_panels(self) -> list[str]:
        """The queries of the dashboard that have found nothing at any time."""
        asked = ((title, for_prometheus(query)) for title, query in dashboard_queries())
        return [
            f"{title}: {query}"
            for title, query in asked
            if NO_RECEIVER not in query and not self._range(query)
        ]

    def _alerts(self, query: str) -> set[str]:
        return {dict(labels)["alertname"] for labels in self._prometheus.query(query)}

    def _range(self, query: str) -> Any:
        start, end = str(self._since), str(time.time())
        return self._prometheus.ask("query_range", query=query, start=start, end=end, step="5s")[
            "result"
        ]

    def _age(self) -> int:
        return int(time.time() - self._since) + 60


@contextmanager
def watch(stack: Stack, folder: Path) -> Iterator[Watch]:
    """Start it with the alerts of deploy/prometheus; remove it at the end.

    It runs in a container of the program's image, for the names that only containers can look up.
    """
    assert PROGRAM, "prometheus is not installed"
    folder.mkdir()
    (folder / "alerts.yml").write_text(ALERTS.read_text())
    (folder / "faster.yml").write_text(faster(ALERTS.read_text()))
    (folder / "prometheus.yml").write_text(yaml.safe_dump(configuration()))
    port = free_port()
    container = stack.docker(
        *("run", "--detach", "--no-healthcheck", "--network", stack.network),
        *("--publish", f"127.0.0.1:{port}:{PORT}", "--tmpfs", "/tmp"),
        *("--volume", f"{PROGRAM}:/prometheus:ro", "--volume", f"{folder}:/etc/prometheus:ro"),
        *("--volume", f"{PROJECT}_api-secrets:{Path(TOKEN).parent}:ro"),
        *(stack.image, "/prometheus", "--config.file=/etc/prometheus/prometheus.yml"),
        *("--storage.tsdb.path=/tmp/data", f"--web.listen-address=0.0.0.0:{PORT}"),
    ).strip()
    prometheus = Prometheus(f"http://127.0.0.1:{port}")

    def ready() -> bool:
        if not stack.inspect(container)["State"]["Running"]:
            raise RuntimeError(f"Prometheus has ended: {stack.docker('logs', container)}")
        return prometheus.is_ready()

    try:
        until("Prometheus is ready", ready)
        yield Watch(prometheus)
    finally:
        stack.docker("rm", "--force", container)


def configuration() -> dict[str, Any]:
    """The example of deploy/prometheus, for the network of Compose."""
    found: dict[str, Any] = yaml.safe_load(SCRAPE_CONFIG.read_text())
    found["global"] = {"scrape_interval": STEP, "evaluation_interval": STEP}
    found["rule_files"] = ["alerts.yml", "faster.yml"]
    targets: dict[str, dict[str, Any]] = {
        "push-queue": {
            "authorization": {"credentials_file": TOKEN},
            "static_configs": [{"targets": ["api:15080"]}],
        },
        "push-queue-worker": {
            "dns_sd_configs": [
                {"names": ["worker"], "type": "A", "port": METRICS_PORT, "refresh_interval": STEP}
            ]
        },
    }
    found["scrape_configs"] = [
        {"job_name": job["job_name"], **targets[job["job_name"]]} for job in found["scrape_configs"]
    ]
    return found
