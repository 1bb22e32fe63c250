"""The services of docker-compose.yml, in a project of their own."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.support.processes import free_port

ROOT = Path(__file__).parents[2]
COMPOSE = ROOT / "scripts/compose"
PROJECT = f"push-queue-test-{os.getpid()}"
COMMAND_SECONDS = 300


@dataclass(frozen=True)
class Stack:
    """A system that runs, at ports of its own."""

    api_port: int
    registry_port: int
    environment: dict[str, str]

    @property
    def network(self) -> str:
        return f"{PROJECT}_default"

    @property
    def image(self) -> str:
        """Of the programs."""
        return self.environment.get("IMAGE") or "push-queue"

    def docker(self, *arguments: str) -> str:
        """Run a command of Docker; its output."""
        return self._run("docker", *arguments)

    def compose(self, *arguments: str) -> str:
        """Run a command of Compose; its output."""
        return self._run(str(COMPOSE), "--project-name", PROJECT, *arguments)

    def containers(self, service: str) -> list[str]:
        """The ids of the service's containers that run."""
        return self.compose("ps", "--quiet", service).split()

    def inspect(self, container: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.docker("inspect", container))[0]
        return found

    def address(self, container: str) -> str:
        """In the network of the stack."""
        networks = self.inspect(container)["NetworkSettings"]["Networks"]
        return str(networks[self.network]["IPAddress"])

    @contextmanager
    def frozen(self, container: str) -> Iterator[None]:
        """All of its processes stand still."""
        self.docker("pause", container)
        try:
            yield
        finally:
            self.docker("unpause", container)

    def kill(self, container: str) -> None:
        """Kill all of its processes as a crash would, so that Docker starts it again."""
        os.kill(self.inspect(container)["State"]["Pid"], signal.SIGKILL)

    def signal(self, container: str, number: signal.Signals) -> None:
        """Send a signal to all of its processes."""
        for pid in self.docker("top", container, "-o", "pid").split()[1:]:
            os.kill(int(pid), number)

    def stop(self, container: str) -> int:
        """Stop and remove it; its exit status."""
        self.docker("stop", container)
        status: int = self.inspect(container)["State"]["ExitCode"]
        self.docker("rm", container)
        return status

    def scale_workers(self, number: int) -> None:
        """Have so many that are healthy, and leave those that run alone."""
        self.compose(
            *("up", "--detach", "--wait", "--no-recreate", "--no-deps", "--no-build"),
            *("--scale", f"worker={number}", "worker"),
        )

    def redis(self, *arguments: str) -> Any:
        """The answer to a command of Redis."""
        script = (
            "REDISCLI_AUTH=$(sed -n 's/^requirepass //p' /run/secrets/redis.conf)"
            ' exec redis-cli --json "$@"'
        )
        return json.loads(
            self.compose("exec", "-T", "redis", "sh", "-c", script, "redis-cli", *arguments)
        )

    def secret(self, service: str, name: str) -> str:
        return self.compose("exec", "-T", service, "cat", f"/run/secrets/{name}").strip()

    def _run(self, *command: str) -> str:
        done = subprocess.run(
            command,
            env=self.environment,
            cwd=ROOT,
            capture_output=True,
            text=True,
            timeout=COMMAND_SECONDS,
            check=False,
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: {done.stderr.strip()}")
        return done.stdout


@contextmanager
def running_stack(images: Path, *, workers: int, settings: Path) -> Iterator[Stack]:
    """Start everything, from an image that is built; remove it with its volumes at the end."""
    api, registry, redis = free_port(), free_port(), free_port()
    ports = {"API_PORT": api, "REGISTRY_PORT": registry, "REDIS_PORT": redis}
    environment = os.environ | {name: str(port) for name, port in ports.items()}
    files = {"IMAGES_DIR": str(images), "SETTINGS_FILE": str(settings)}
    stack = Stack(api, registry, environment | files)
    try:
        stack.compose("up", "--detach", "--no-build", "--wait", "--scale", f"worker={workers}")
        yield stack
    finally:
        stack.compose("down", "--volumes", "--timeout", "5")
