"""``python -m tests.compose``: docker-compose.yml under load, with three workers.

While JOBS (60) jobs are pushed, a worker is killed, Redis is killed, and all workers are replaced
one by one. Then what the registry has is compared with what the jobs say. Exit status 1 if anything
was lost or done twice.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.chaos.archives import random_layer
from tests.compose.audit import problems
from tests.compose.client import FINAL, Client
from tests.compose.stack import Stack, running_stack
from tests.support.images import make_image, oci_blobs, write_archive

WORKERS = 3
BASE_BYTES = 2_000_000
LAYER_BYTES = 8_000_000
PATIENCE_SECONDS = 600


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so all is removed
    count = int(os.environ.get("JOBS") or 60)
    with TemporaryDirectory(prefix="push-queue-compose-") as directory:
        images = Path(directory)
        images.chmod(0o755)  # the workers are another user
        jobs = [write_job(images, number) for number in range(count)]
        with running_stack(images, workers=WORKERS) as stack:
            say(f"{WORKERS} workers, Redis, a registry and the API run")
            client = Client(stack)
            assert "<title>" in client.page(), "the page is not there"
            run(stack, client, jobs)
            found = problems(stack, client, [job["id"] for job in jobs])
    for line in found:
        say(f"WRONG: {line}")
    return 1 if found else 0


def write_job(images: Path, number: int) -> dict[str, Any]:
    """A job with a tar of its own; all images have one layer in common."""
    base, own = random_layer("base", BASE_BYTES), random_layer(f"own {number}", LAYER_BYTES)
    path = images / f"{number}.tar"
    write_archive(path, oci_blobs, make_image(base, own))
    path.chmod(0o644)
    return {
        "id": f"build-{number}",
        "source": f"/images/{path.name}",
        "targets": [f"registry:5000/load/app-{number}:1"],
    }


def run(stack: Stack, client: Client, jobs: list[dict[str, Any]]) -> None:
    """Push a first part of the jobs while things crash, and the rest during an upgrade."""
    half = len(jobs) // 2
    client.enqueue(jobs[:half])
    until("a tenth is pushed", lambda: finished(client) >= len(jobs) // 10)
    victim = busiest(stack, client)
    stack.kill(victim)
    say(f"killed a worker, with {finished(client)} of {len(jobs)} jobs done")
    until("a quarter is pushed", lambda: finished(client) >= len(jobs) // 4)
    stack.kill(stack.containers("redis")[0])
    say("killed Redis")
    until("the API is ready again", client.ready)
    client.enqueue(jobs[half:])
    for container in stack.containers("worker"):
        status = stack.stop(container)
        stack.scale_workers(WORKERS)
        say(
            f"replaced a worker (exit status {status}), {finished(client)} of {len(jobs)} jobs done"
        )
    until("all are final", lambda: finished(client) == len(jobs))
    until("all workers report", lambda: len(client.workers()) == WORKERS)


def busiest(stack: Stack, client: Client) -> str:
    """The container of the worker that runs most jobs."""
    running = {worker["host"]: worker["running"] for worker in client.workers()}
    return max(stack.containers("worker"), key=lambda container: running.get(container[:12], -1))


def finished(client: Client) -> int:
    return sum(job["state"] in FINAL for job in client.jobs().values())


def until(what: str, condition: Callable[[], bool]) -> None:
    """Wait until it holds. While Redis is away nothing can be asked."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while True:
        try:
            if condition():
                return
        except (OSError, AssertionError):
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(f"{what}: not within {PATIENCE_SECONDS} s")
        time.sleep(0.2)


def say(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


if __name__ == "__main__":
    sys.exit(main())
