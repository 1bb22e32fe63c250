"""``python -m tests.compose``: docker-compose.yml under load, with three workers.

While JOBS (60) jobs are pushed, a worker is killed, and then Redis. While more and more jobs come,
all workers are replaced one by one. Then what the registry has is compared with what the jobs say.
Exit status 1 if anything was lost or done twice.

A Prometheus watches, if there is one on this machine. No alert may fire so far. Then troubles are
caused, one by one: their alerts have to fire, and to end. All panels of the dashboard have to find
something.
"""

import os
import signal
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import count
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any

from tests.chaos.archives import random_layer
from tests.compose.audit import problems
from tests.compose.client import FINAL, Client
from tests.compose.stack import Stack, running_stack
from tests.compose.troubles import GUARDED, SPOOL_QUOTA, Scene, raise_alerts
from tests.compose.waiting import say, until
from tests.compose.watch import PROGRAM, Watch, watch
from tests.support.images import make_image, oci_blobs, write_archive

WORKERS = 3
JOBS = int(os.environ.get("JOBS") or 60)
BASE_BYTES = 2_000_000
LAYER_BYTES = 8_000_000
CALM_JOBS = 10
CALM_SECONDS = 20
MAX_JOBS = 2
"""Of a worker, so that there is work left when something is killed."""
SETTINGS = f"""
PUSH_QUEUE_PLAIN_HTTP_HOSTS=registry:5000,{GUARDED}
PUSH_QUEUE_SPOOL_QUOTA={SPOOL_QUOTA}
PUSH_QUEUE_MAX_JOBS={MAX_JOBS}
"""
LOAD_SECONDS = 0.1
"""Between two jobs while workers are replaced."""


def main() -> int:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))  # so all is removed
    with TemporaryDirectory(prefix="push-queue-compose-") as directory:
        images = Path(directory)
        images.chmod(0o755)  # the workers are another user
        jobs = [write_job(images, number) for number in range(JOBS)]
        settings = images / "settings.env"
        settings.write_text(SETTINGS)
        with running_stack(images, workers=WORKERS, settings=settings) as stack:
            say(f"{WORKERS} workers, Redis, a registry and the API run")
            client = Client(stack)
            assert "<title>" in client.page(), "the page is not there"
            if PROGRAM:
                with watch(stack, images / "prometheus") as watcher:
                    found = watched(stack, client, jobs, watcher)
            elif os.environ.get("CI"):
                found = ["prometheus is not installed"]
            else:
                say("Nothing watches: prometheus is not installed")
                found = load(stack, client, jobs)
    for line in found:
        say(f"WRONG: {line}")
    return 1 if found else 0


def load(stack: Stack, client: Client, jobs: list[dict[str, Any]]) -> list[str]:
    """What is wrong after all of it."""
    pushed = crash(stack, client, jobs) + upgrade(stack, client, jobs)
    until("all are final", lambda: finished(client) == len(pushed))
    until("all workers report", lambda: len(client.workers()) == WORKERS)
    assert {worker["max_jobs"] for worker in client.workers()} == {MAX_JOBS}, "settings"
    return problems(stack, client, pushed)


def watched(stack: Stack, client: Client, jobs: list[dict[str, Any]], watcher: Watch) -> list[str]:
    """That, and what is wrong with what Prometheus says."""
    client.enqueue(jobs[:CALM_JOBS])
    until("some are pushed in peace", lambda: finished(client) == CALM_JOBS)
    until("time has passed", lambda: watcher.seconds() > CALM_SECONDS)
    found = [f"{alert} fires in peace" for alert in watcher.firing()]
    found += load(stack, client, jobs)
    found += [f"{alert} fired" for alert in watcher.fired()]
    ended = watcher.value('max(push_queue_jobs_ended_total{state="succeeded"})')
    if ended != client.stats()["jobs"]["succeeded"]:
        found.append(f"Prometheus knows of {ended} jobs")
    raise_alerts(Scene(stack, client, watcher, jobs[0]))
    return found + watcher.broken_rules() + watcher.empty_panels()


def write_job(images: Path, number: int) -> dict[str, Any]:
    """A job with a tar of its own; all images have one layer in common."""
    base, own = random_layer("base", BASE_BYTES), random_layer(f"own {number}", LAYER_BYTES)
    path = images / f"{number}.tar"
    write_archive(path, oci_blobs, make_image(base, own))
    path.chmod(0o644)
    return {
        "id": f"build-{number}",
        "source": f"/images/{path.name}",
        "targets": [f"registry:5000/load/build-{number}:1"],
    }


def crash(stack: Stack, client: Client, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Kill a worker and Redis while the jobs are pushed."""
    client.enqueue(jobs)
    until("some are pushed", lambda: finished(client) >= len(jobs) // 5)
    until("a worker at work is killed", lambda: kill_at_work(stack, client))
    say(f"killed a worker, with {finished(client)} of {len(jobs)} jobs done")
    until("more are pushed", lambda: finished(client) >= len(jobs) // 3)
    stack.kill(stack.containers("redis")[0])
    say("killed Redis")
    until("the API is ready again", client.ready)
    return jobs


def upgrade(stack: Stack, client: Client, jobs: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Replace the workers while jobs come; those jobs."""
    enqueued: list[dict[str, Any]] = []
    over = Event()
    stack.scale_workers(WORKERS)  # the one that was killed, too, is ready

    def enqueue() -> None:
        for number in count():
            job = jobs[number % len(jobs)]
            again = {"id": f"again-{number}", "targets": [f"registry:5000/load/again-{number}:1"]}
            client.enqueue([job | again])
            enqueued.append(job | again)
            if over.wait(LOAD_SECONDS):
                return

    with ThreadPoolExecutor(1) as pool:
        load = pool.submit(enqueue)
        try:
            for container in stack.containers("worker"):
                before = finished(client)
                status = stack.stop(container)
                stack.scale_workers(WORKERS)
                assert status == 0, f"a worker ended with exit status {status}"
                say(f"replaced a worker while {finished(client) - before} jobs ended")
        finally:
            over.set()
        load.result()
    return enqueued


def kill_at_work(stack: Stack, client: Client) -> bool:
    """Kill a worker that has a job. It stands still, so that the job does not end in between."""
    for container in stack.containers("worker"):
        stack.signal(container, signal.SIGSTOP)
        if container[:12] in hosts_at_work(client):
            stack.kill(container)
            return True
        stack.signal(container, signal.SIGCONT)
    return False


def hosts_at_work(client: Client) -> set[str]:
    running = (job for job in client.jobs() if job["state"] == "running")
    return {job["worker"].partition("-")[0] for job in running}


def finished(client: Client) -> int:
    return sum(job["state"] in FINAL for job in client.jobs())


if __name__ == "__main__":
    sys.exit(main())
