"""Whether workers run, agree, and get through with their work."""

from collections import Counter
from collections.abc import AsyncIterator

from producer.counted import waiting
from producer.doctor.finding import Finding, ok, problem, warning
from producer.operator import Operator
from push_queue.figures.stats import QueueStats
from push_queue.models.fleet import WorkerInfo, WorkerState
from push_queue.models.pause import Pause
from push_queue.version import own_version

SUBJECT = "workers"
LATE_SECONDS = 600.0


async def check(operator: Operator) -> AsyncIterator[Finding]:
    """What is found of the workers of a queue.

    Raises:
        RedisUnavailableError: Redis fails.
    """
    workers, stats = await operator.workers(), await operator.stats()
    for finding in _of_workers(workers, stats):
        yield finding
    if pause := await operator.queue.paused():
        yield warning("queue", _why(pause), "push-queue resume")
    for worker in workers:
        if worker.problem:
            yield warning(f"worker {worker.id}", worker.problem, "see its log")
    for registry in await operator.registries():
        if registry.pause:
            yield warning(
                registry.name,
                f"{_why(registry.pause)}; {waiting(registry.waiting, 'job')}",
                f"push-queue registries resume {registry.name}",
            )
        elif registry.paused_until:
            yield warning(
                registry.name,
                f"is paused: {registry.pause_reason}",
                f"{waiting(registry.waiting, 'job')} until it answers",
            )


def _why(pause: Pause) -> str:
    return f"it is paused: {pause.reason or 'nobody said why'}"


def _of_workers(workers: tuple[WorkerInfo, ...], stats: QueueStats) -> list[Finding]:
    if all(worker.state is WorkerState.DRAINING for worker in workers):
        how_bad = problem if stats.due else warning
        none = "all are being drained" if workers else "none runs"
        return [how_bad(SUBJECT, f"{none}, and {waiting(stats.due, 'job')}", "start push-worker")]
    room = sum(worker.max_jobs for worker in workers)
    busy = sum(worker.running for worker in workers)
    found = [ok(SUBJECT, f"{len(workers)} running, {busy} of {room} places taken")]
    releases = Counter(worker.version for worker in workers)
    if len(releases) > 1 or own_version() not in releases:
        shown = ", ".join(f"{count} of {version}" for version, count in sorted(releases.items()))
        found.append(
            warning(
                SUBJECT,
                f"some are of another release than this one, {own_version()}: {shown}",
                "upgrade those that are behind",
            )
        )
    if stats.oldest_due_seconds and stats.oldest_due_seconds > LATE_SECONDS:
        minutes = f"{stats.oldest_due_seconds / 60:.0f} min"
        found.append(
            warning(
                SUBJECT,
                f"{waiting(stats.due, 'job')}, the first one for {minutes}",
                "start more workers, or see what holds these up",
            )
        )
    return found
