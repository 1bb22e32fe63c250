"""Where the values of the queue's metrics come from.

Every label has few values: registries beyond ``MOST_NAMED`` are ``other``.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime

from producer.api.metrics.snapshot import Snapshot, SpoolFigures
from push_queue.error_kinds import ErrorKind
from push_queue.figures.metrics import Ended, QueueMetrics
from push_queue.models.fleet import RegistryInfo, WorkerInfo
from push_queue.models.job_status import FINAL_STATES, JobState
from push_queue.version import own_version
from push_queue.webhook_outbox import WebhookStatus

MOST_NAMED = 50
OTHER = "other"
MOST_ENDS = 100
"""Kinds of ends that are told apart. There are some 30 kinds of errors."""
_NO_ENDS = {
    **{Ended(state, ""): 0 for state in FINAL_STATES if state is not JobState.FAILED},
    **{Ended(JobState.FAILED, kind): 0 for kind in ErrorKind},
}
"""What is shown before the first of its kind: a series that begins at 1 shows no increase."""

Samples = Iterable[tuple[Sequence[str], float]]
"""Values of labels, and the value that they have."""

Source = Callable[[Snapshot], Samples | None]
"""Samples from a snapshot; None where nothing is known of them."""


def from_queue(samples: Callable[[QueueMetrics], Samples]) -> Source:
    """Samples of what only Redis knows; None where it does not answer."""
    return lambda snapshot: samples(snapshot.queue) if snapshot.queue else None


def one_from_queue(value: Callable[[QueueMetrics], float]) -> Source:
    """The one value of a metric without labels, which only Redis knows."""
    return from_queue(lambda figures: [((), value(figures))])


def one_from_spool(value: Callable[[SpoolFigures], float]) -> Source:
    """The one value of a metric of the spool; None without a spool."""
    return lambda snapshot: [((), value(snapshot.spool))] if snapshot.spool else None


def by_registry(
    value: Callable[[RegistryInfo], float], of_others: Callable[[list[float]], float] = sum
) -> Source:
    """A sample for each registry that was used last, and one for all others together."""

    def samples(figures: QueueMetrics) -> Samples:
        named, others = figures.registries[:MOST_NAMED], figures.registries[MOST_NAMED:]
        yield from (((registry.name,), value(registry)) for registry in named)
        if others:
            yield (OTHER,), of_others([value(registry) for registry in others])

    return from_queue(samples)


def sum_over_workers(value: Callable[[WorkerInfo], float]) -> Source:
    """The sum of what the live workers have."""
    return one_from_queue(lambda figures: sum(map(value, figures.workers)))


def workers_by_version(figures: QueueMetrics) -> Samples:
    """How many live workers there are of each version."""
    versions = Counter(worker.version for worker in figures.workers)
    # Without any, a sample all the same: an alert compares it with 0.
    return [((version,), count) for version, count in versions.items()] or [((own_version(),), 0)]


def ended_jobs(figures: QueueMetrics) -> Samples:
    """How many jobs ended, by state and kind of the error: the ``MOST_ENDS`` largest."""
    often = dict(Counter(figures.ended).most_common(MOST_ENDS))
    return (_NO_ENDS | often).items()


def by_webhook(value: Callable[[WebhookStatus], float]) -> Source:
    """A sample for each receiver of webhooks."""
    return from_queue(lambda figures: [((one.name,), value(one)) for one in figures.webhooks])


def webhook_requests(figures: QueueMetrics) -> Samples:
    """Requests to each receiver, by outcome."""
    for one in figures.webhooks:
        yield (one.name, "delivered"), one.delivered
        yield (one.name, "failed"), one.failed


def lost_webhook_events(figures: QueueMetrics) -> Samples:
    """Events that each receiver never gets, by reason."""
    for one in figures.webhooks:
        yield (one.name, "given_up"), one.given_up
        yield (one.name, "dropped"), one.dropped


def unix_time(moment: datetime | None) -> float:
    """Seconds since 1970; 0 for no moment."""
    return moment.timestamp() if moment else 0.0


def earliest(moments: list[float]) -> float:
    """The first of the moments that are there; 0 if none is."""
    return min(filter(None, moments), default=0.0)
