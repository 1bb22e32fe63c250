"""A `push-queue serve` process, and curl to call it."""

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.support.processes import ManagedProcess, free_port, require_program
from tests.support.servers import clean_environment, http_answers

Serve = Callable[..., "ApiServer"]
"""What the fixture `serve` is."""


class ApiServer:
    """A `push-queue serve` process."""

    def __init__(self, process: ManagedProcess, port: int) -> None:
        self.process = process
        self.port = port
        self.url = f"http://127.0.0.1:{port}"

    def curl(self, path: str, *options: str) -> tuple[int, Any]:
        """The status and the body of an answer."""
        done = subprocess.run(
            [
                require_program("curl"),
                "-sS",
                "-m",
                "60",
                "-w",
                "\n%{http_code}",
                *options,
                self.url + path,
            ],
            capture_output=True,
            text=True,
            check=True,
            timeout=90,
        )
        body, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(body) if body else None

    def becomes(self, path: str, status: int) -> Any:
        """The body once the path answers with this status."""
        deadline = time.monotonic() + 60
        while time.monotonic() < deadline:
            found, body = self.curl(path)
            if found == status:
                return body
        raise AssertionError(f"{path} answers {found}: {body}\n{self.process.log}")

    def wait_ready(self) -> None:
        self.process.wait_ready(lambda: http_answers(f"{self.url}/healthz"))


@contextmanager
def run_api_server(log_path: Path, **env: str) -> Iterator[ApiServer]:
    """A server on a free port, ready."""
    port = free_port()
    command = [sys.executable, "-m", "producer", "serve", "--port", str(port)]
    with ManagedProcess(command, log_path, clean_environment(**env)) as process:
        server = ApiServer(process, port)
        server.wait_ready()
        yield server
