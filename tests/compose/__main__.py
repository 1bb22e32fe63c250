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
from functools import partial
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
SETTINGS = """
PUSH_QUEUE_PLAIN_HTTP_HOSTS=registry:5000
# So that there is work left all the time.
PUSH_QUEUE_MAX_JOBS=2
"""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so all is removed
    count = int(os.environ.get("JOBS") or 60)
    with TemporaryDirectory(prefix="push-queue-compose-") as directory:
        images = Path(directory)
        images.chmod(0o755)  # the workers are another user
        jobs = [write_job(images, number) for number in range(count)]
        settings = images / "settings.env"
        settings.write_text(SETTINGS)
        with running_stack(images, workers=WORKERS, settings=settings) as stack:
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
    """Push a first half of the jobs while things crash, and the rest during an upgrade."""
    crashing, upgrade = split(jobs, 2)
    client.enqueue(crashing)
    until("some are pushed", lambda: finished(client) >= len(crashing) // 6)
    stack.kill(busiest(stack, client))
    say(f"killed a worker, {at(client, crashing)}")
    until("half of them are pushed", lambda: finished(client) >= len(crashing) // 2)
    stack.kill(stack.containers("redis")[0])
    say("killed Redis")
    until("the API is ready again", client.ready)
    for part, container in zip(split(upgrade, WORKERS), stack.containers("worker"), strict=True):
        client.enqueue(part)
        until("it runs some of them", partial(runs, client, container[:12]))
        say(f"replacing a worker, {at(client, jobs)}")
        status = stack.stop(container)
        stack.scale_workers(WORKERS)
        say(f"replaced it (exit status {status}), {at(client, jobs)}")
    until("all are final", lambda: finished(client) == len(jobs))
    until("all workers report", lambda: len(client.workers()) == WORKERS)


def split(jobs: list[dict[str, Any]], parts: int) -> list[list[dict[str, Any]]]:
    return [jobs[len(jobs) * i // parts : len(jobs) * (i + 1) // parts] for i in range(parts)]


def at(client: Client, jobs: list[dict[str, Any]]) -> str:
    return f"with {finished(client)} of {len(jobs)} jobs done"


def runs(client: Client, host: str) -> bool:
    return any(worker["host"] == host and worker["running"] for worker in client.workers())


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
