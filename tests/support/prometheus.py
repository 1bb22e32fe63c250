"""A real Prometheus that scrapes the servers of a test, and promtool."""

import json
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.parse import urlencode
from urllib.request import urlopen

import yaml

from tests.support.monitoring import ALERTS, SCRAPE_CONFIG
from tests.support.processes import ManagedProcess, free_port, require_program

_SCRAPE_EVERY = "1s"


def promtool(*arguments: str, text: str | None = None) -> subprocess.CompletedProcess[str]:
    """Run promtool, which gets the text on its standard input."""
    return subprocess.run(
        [require_program("promtool"), *arguments],
        input=text,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )


class Prometheus:
    """A running one."""

    def __init__(self, url: str) -> None:
        self._url = url

    def is_ready(self) -> bool:
        try:
            with urlopen(f"{self._url}/-/ready", timeout=60):
                return True
        except (URLError, ConnectionError):
            return False

    def query(self, query: str) -> dict[tuple[tuple[str, str], ...], float]:
        """The values that it has now, by their labels, but for job and instance."""
        result = self.ask("query", query=query)["result"]
        return {_labels(sample["metric"]): float(sample["value"][1]) for sample in result}

    def ask(self, what: str, **parameters: str) -> Any:
        """The data of an answer of its API."""
        with urlopen(f"{self._url}/api/v1/{what}?{urlencode(parameters)}", timeout=60) as response:
            answer = json.load(response)
        assert answer["status"] == "success", answer
        return answer["data"]


def _labels(metric: Mapping[str, str]) -> tuple[tuple[str, str], ...]:
    left_out = ("__name__", "job", "instance")
    return tuple(sorted(item for item in metric.items() if item[0] not in left_out))


@contextmanager
def run_prometheus(folder: Path, **ports: int) -> Iterator[Prometheus]:
    """One with the example's configuration, whose jobs have these ports in place of its own."""
    program = require_program("prometheus")
    config = yaml.safe_load(SCRAPE_CONFIG.read_text())
    config["global"] = {"scrape_interval": _SCRAPE_EVERY, "evaluation_interval": _SCRAPE_EVERY}
    config["rule_files"] = [str(ALERTS)]
    for job in config["scrape_configs"]:
        port = ports[job["job_name"].replace("-", "_")]
        job["static_configs"] = [{"targets": [f"127.0.0.1:{port}"]}]
    folder.mkdir(exist_ok=True)
    file = folder / "prometheus.yml"
    file.write_text(yaml.safe_dump(config))
    address = f"127.0.0.1:{free_port()}"
    arguments = {
        "config.file": file,
        "storage.tsdb.path": folder / "data",
        "web.listen-address": address,
    }
    command = [program, *(f"--{name}={value}" for name, value in arguments.items())]
    prometheus = Prometheus(f"http://{address}")
    with ManagedProcess(command, folder / "prometheus.log") as process:
        process.wait_ready(prometheus.is_ready)
        yield prometheus
