"""Troubles of which an alert has to tell, and which end."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from tests.compose.client import Client
from tests.compose.stack import Stack
from tests.compose.waiting import say, until
from tests.compose.watch import METRICS_PORT, Watch

HOUSEKEEPER = "push:housekeeper"
LATE_WRITES = "push:writes"
REGISTRY = "registry:5000"
GUARDED = "guarded:5000"
"""A registry that asks for a login, which workers do not have."""
FAILURES = 10
CRASHES = 3
SPOOL_QUOTA = 20_000_000
_numbers = count()


@dataclass(frozen=True)
class Scene:
    """A system that works, who asks it, who watches it, and a job that it can do."""

    stack: Stack
    client: Client
    watch: Watch
    job: dict[str, Any]

    def enqueue(self, **fields: Any) -> str:
        """Enqueue the job once more; its id."""
        name = f"trouble-{next(_numbers)}"
        target = f"{REGISTRY}/trouble/{name}:1"
        self.client.enqueue([self.job | {"id": name, "targets": [target]} | fields])
        return name

    def state(self, job_id: str) -> str:
        return str(self.client.job(job_id)["state"])


@contextmanager
def stopped(scene: Scene, service: str) -> Iterator[None]:
    scene.stack.compose("stop", service)
    yield
    scene.stack.compose("start", service)


@contextmanager
def redis_away(scene: Scene) -> Iterator[None]:
    with stopped(scene, "redis"):
        yield
    until("the API is ready again", scene.client.ready)


@contextmanager
def api_away(scene: Scene) -> Iterator[None]:
    with stopped(scene, "api"):
        yield
    until("the API is ready again", scene.client.ready)


@contextmanager
def workers_away(scene: Scene) -> Iterator[None]:
    with stopped(scene, "worker"):
        job = scene.enqueue()
        yield
    until("the job is done", lambda: scene.state(job) == "succeeded")


@contextmanager
def registry_away(scene: Scene) -> Iterator[None]:
    with stopped(scene, "registry"):
        job = scene.enqueue()
        yield
    until("the job is done", lambda: scene.state(job) == "succeeded")


@contextmanager
def queue_paused(scene: Scene) -> Iterator[None]:
    scene.client.pause()
    job = scene.enqueue()
    yield
    assert scene.state(job) == "queued"
    scene.client.resume()
    until("the job is done", lambda: scene.state(job) == "succeeded")


@contextmanager
def housekeeping_taken(scene: Scene) -> Iterator[None]:
    """Somebody has written the key that the housekeeper holds."""
    scene.stack.redis("set", HOUSEKEEPER, "somebody")
    yield
    scene.stack.redis("del", HOUSEKEEPER)


@contextmanager
def duty_fails(scene: Scene) -> Iterator[None]:
    """The key with the late writes of tags, which the housekeeper looks at, has another type."""
    scene.stack.redis("set", LATE_WRITES, "somebody")
    yield
    scene.stack.redis("del", LATE_WRITES)


@contextmanager
def tars_missing(scene: Scene) -> Iterator[None]:
    jobs = [scene.enqueue(source="/images/missing.tar") for _ in range(FAILURES)]
    until("they fail", lambda: {scene.state(job) for job in jobs} == {"failed"})
    yield


@contextmanager
def login_refused(scene: Scene) -> Iterator[None]:
    with guarded_registry(scene.stack):
        job = scene.enqueue(targets=[f"{GUARDED}/team/app:1"])
        until("it fails", lambda: scene.state(job) == "failed")
        yield


@contextmanager
def guarded_registry(stack: Stack) -> Iterator[None]:
    """The registry makes a password for itself where it finds no file of them."""
    (other,) = stack.containers("registry")
    container = stack.docker(
        *("run", "--detach", "--network", stack.network),
        *("--network-alias", GUARDED.partition(":")[0]),
        *("--env", "REGISTRY_AUTH=htpasswd", "--env", "REGISTRY_AUTH_HTPASSWD_REALM=guarded"),
        *("--env", "REGISTRY_AUTH_HTPASSWD_PATH=/tmp/htpasswd"),
        stack.inspect(other)["Config"]["Image"],
    ).strip()
    try:
        yield
    finally:
        stack.docker("rm", "--force", "--volumes", container)


@contextmanager
def crash_loop(scene: Scene) -> Iterator[None]:
    """The worker then stays up: the alert is about workers that run, and looks every second.

    Docker waits longer after each crash, so more of them would not fit into the alert's time.
    """
    worker = scene.stack.containers("worker")[0]
    for _ in range(CRASHES):
        crash_once(scene, worker)
    yield


def crash_once(scene: Scene, worker: str) -> None:
    """Kill it, and wait until Prometheus has seen it run again."""
    started = (
        f'process_start_time_seconds{{instance="{scene.stack.address(worker)}:{METRICS_PORT}"}}'
    )
    before = scene.watch.value(started)
    scene.stack.kill(worker)
    until("it runs again", lambda: scene.watch.value(started) not in {before, None})


@contextmanager
def worker_frozen(scene: Scene) -> Iterator[None]:
    """A worker stands still with a job that waits for its registry, until another has the job."""
    (registry,) = scene.stack.containers("registry")
    with scene.stack.frozen(registry):
        job = scene.enqueue()
        until("it runs", lambda: scene.state(job) == "running")
        first = scene.client.job(job)["worker"]
        host = first.partition("-")[0]
        (container,) = (one for one in scene.stack.containers("worker") if one.startswith(host))
        with scene.stack.frozen(container):
            until(
                "it is another's", lambda: scene.client.job(job)["worker"] not in {first, None, ""}
            )
        yield
    until("the job is done", lambda: scene.state(job) == "succeeded")


@contextmanager
def spool_full(scene: Scene) -> Iterator[None]:
    upload = scene.client.upload(bytes(SPOOL_QUOTA * 95 // 100))
    yield
    scene.client.delete_upload(upload)


Trouble = Callable[[Scene], AbstractContextManager[None]]

TROUBLES: dict[Trouble, set[str]] = {
    redis_away: {"PushQueueRedisAway"},
    api_away: {"PushQueueServerDown"},
    workers_away: {"PushQueueNoWorkers", "PushQueueOldestJobTooOld"},
    registry_away: {"PushQueueRegistryPaused"},
    queue_paused: {"PushQueuePaused"},
    housekeeping_taken: {"PushQueueHousekeeperMissing"},
    duty_fails: {"PushQueueWorkerProblem"},
    worker_frozen: {"PushQueueLeasesLost"},
    spool_full: {"PushQueueSpoolNearlyFull"},
    login_refused: {"PushQueueUnauthorized"},
    tars_missing: {"PushQueueFailures"},
    crash_loop: {"PushQueueWorkerRestarts"},
}
"""What happens, and the alerts that it raises."""


def raise_alerts(scene: Scene) -> None:
    """Cause each trouble, until its alerts fire; end it, until they are over."""
    for trouble, alerts in TROUBLES.items():
        raise_one(scene, trouble, alerts)


def raise_one(scene: Scene, trouble: Trouble, alerts: set[str]) -> None:
    names = ", ".join(sorted(alerts))
    with trouble(scene):
        until(f"{names} fires", lambda: alerts <= scene.watch.firing())
        others = scene.watch.firing() - alerts
    until(f"{names} is over", lambda: not alerts & scene.watch.firing())
    say(f"{trouble.__name__}: {names} fired and ended" + (f", beside {others}" if others else ""))
