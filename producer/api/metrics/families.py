"""The metrics of the queue: name, meaning and labels of each, and where its values come from.

Names and units follow https://prometheus.io/docs/practices/naming/. Every label has few values:
registries beyond ``MOST_NAMED`` are ``other``.
"""

import platform
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from producer.api.metrics.snapshot import Snapshot, SpoolFigures
from push_queue.fleet import RegistryInfo, WorkerState
from push_queue.models import FINAL_STATES, JobState
from push_queue.queue_metrics import Ended, QueueMetrics
from push_queue.version import own_version
from push_queue.webhook_outbox import WebhookStatus
from registry_api_v2_client import exceptions

MOST_NAMED = 50
OTHER = "other"
MOST_ENDS = 100
"""Kinds of ends that are told apart. There are some 30 kinds of errors."""
_KINDS = {
    *("internal", "invalid_job", "target_not_allowed", "worker_lost"),
    *(kind for one in vars(exceptions).values() if (kind := getattr(one, "kind", None))),
}
_NO_ENDS = {
    **{Ended(state, ""): 0 for state in FINAL_STATES if state is not JobState.FAILED},
    **{Ended(JobState.FAILED, kind): 0 for kind in sorted(_KINDS)},
}
"""What is shown before the first of its kind: a series that begins at 1 shows no increase."""

Samples = Iterable[tuple[Sequence[str], float]]
"""Values of labels, and the value that they have."""


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. ``samples`` is None where nothing is known of it."""

    name: str
    help: str
    samples: Callable[[Snapshot], Samples | None]
    labels: tuple[str, ...] = ()
    counter: bool = False

    @property
    def kind(self) -> str:
        return "counter" if self.counter else "gauge"

    def of(self, snapshot: Snapshot) -> Iterator[Metric]:
        """The metric with its values."""
        samples = self.samples(snapshot)
        if samples is None:
            return
        make = CounterMetricFamily if self.counter else GaugeMetricFamily
        family = make(self.name, self.help, labels=self.labels)
        for values, value in samples:
            family.add_metric(values, value)
        yield family


def collect(snapshot: Snapshot) -> Iterator[Metric]:
    """All metrics that have values."""
    for family in FAMILIES:
        yield from family.of(snapshot)


def _queue(samples: Callable[[QueueMetrics], Samples]) -> Callable[[Snapshot], Samples | None]:
    """Samples that only Redis knows."""
    return lambda snapshot: samples(snapshot.queue) if snapshot.queue else None


def _one(value: Callable[[QueueMetrics], float]) -> Callable[[Snapshot], Samples | None]:
    return _queue(lambda figures: [((), value(figures))])


def _spool(value: Callable[[SpoolFigures], float]) -> Callable[[Snapshot], Samples | None]:
    return lambda snapshot: [((), value(snapshot.spool))] if snapshot.spool else None


def _registries(
    value: Callable[[RegistryInfo], float], of_others: Callable[[list[float]], float] = sum
) -> Callable[[Snapshot], Samples | None]:
    """A sample for each registry that was used last, and one for all others together."""

    def samples(figures: QueueMetrics) -> Samples:
        named, others = figures.registries[:MOST_NAMED], figures.registries[MOST_NAMED:]
        yield from (((registry.name,), value(registry)) for registry in named)
        if others:
            yield (OTHER,), of_others([value(registry) for registry in others])

    return _queue(samples)


def _workers(figures: QueueMetrics) -> Samples:
    versions = Counter(worker.version for worker in figures.workers)
    # Without any, a sample all the same: an alert compares it with 0.
    return [((version,), count) for version, count in versions.items()] or [((own_version(),), 0)]


def _ended(figures: QueueMetrics) -> Samples:
    often = dict(Counter(figures.ended).most_common(MOST_ENDS))
    return (_NO_ENDS | often).items()


def _webhooks(value: Callable[[WebhookStatus], float]) -> Callable[[Snapshot], Samples | None]:
    return _queue(lambda figures: [((one.name,), value(one)) for one in figures.webhooks])


def _requests(figures: QueueMetrics) -> Samples:
    for one in figures.webhooks:
        yield (one.name, "delivered"), one.delivered
        yield (one.name, "failed"), one.failed


def _lost_events(figures: QueueMetrics) -> Samples:
    for one in figures.webhooks:
        yield (one.name, "given_up"), one.given_up
        yield (one.name, "dropped"), one.dropped


def _unix(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _earliest(moments: list[float]) -> float:
    return min(filter(None, moments), default=0.0)


FAMILIES = (
    Family(
        "push_queue_redis_up",
        "Whether Redis answers (1), or all figures of the queue are missing (0).",
        lambda snapshot: [((), snapshot.queue is not None)],
    ),
    Family(
        "push_queue_jobs",
        "Jobs that Redis holds, by state.",
        _queue(lambda figures: [((state,), count) for state, count in figures.jobs.items()]),
        ("state",),
    ),
    Family(
        "push_queue_due_jobs",
        "Jobs that are due and wait for a worker, without those that registries hold back.",
        _queue(lambda figures: [((name,), one.due) for name, one in figures.waiting.items()]),
        ("priority",),
    ),
    Family(
        "push_queue_oldest_due_job_age_seconds",
        "How long the oldest of them has been due; 0 without any.",
        _queue(
            lambda figures: [((name,), one.oldest_seconds) for name, one in figures.waiting.items()]
        ),
        ("priority",),
    ),
    Family(
        "push_queue_later_jobs",
        "Jobs whose time has not come yet: scheduled, or between two attempts.",
        _queue(lambda figures: [((name,), one.later) for name, one in figures.waiting.items()]),
        ("priority",),
    ),
    Family(
        "push_queue_jobs_ended_total",
        "Jobs that ended, since this Redis is used, by final state and kind of the error.",
        _queue(_ended),
        ("state", "error_kind"),
        counter=True,
    ),
    Family(
        "push_queue_sent_bytes_total",
        "Bytes of blobs sent by all workers, compressed, since this Redis is used.",
        _one(lambda figures: figures.bytes_sent),
        counter=True,
    ),
    Family(
        "push_queue_registry_waiting_jobs",
        "Jobs that wait for a registry that is paused or has no upload slot free.",
        _registries(lambda registry: registry.waiting),
        ("registry",),
    ),
    Family(
        "push_queue_registry_uploads",
        "Upload slots in use, by all workers together.",
        _registries(lambda registry: registry.uploads),
        ("registry",),
    ),
    Family(
        "push_queue_registry_max_uploads",
        "Upload slots that a registry has.",
        _registries(lambda registry: registry.max_uploads),
        ("registry",),
    ),
    Family(
        "push_queue_registry_paused_until_timestamp_seconds",
        "Until when workers leave the registry alone; 0 if they do not.",
        _registries(lambda registry: _unix(registry.paused_until), max),
        ("registry",),
    ),
    Family(
        "push_queue_registry_paused_since_timestamp_seconds",
        "When the first of the pauses in a row began; 0 once the registry has answered.",
        _registries(lambda registry: _unix(registry.paused_since), _earliest),
        ("registry",),
    ),
    Family(
        "push_queue_registry_paused_by_person",
        "Whether a person has paused the registry.",
        _registries(lambda registry: registry.pause is not None, max),
        ("registry",),
    ),
    Family(
        "push_queue_paused",
        "Whether a person has paused the whole queue.",
        _one(lambda figures: figures.paused),
    ),
    Family(
        "push_queue_workers",
        "Live workers, by their version.",
        _queue(_workers),
        ("version",),
    ),
    Family(
        "push_queue_workers_running_jobs",
        "Jobs that live workers say they run.",
        _one(lambda figures: sum(worker.running for worker in figures.workers)),
    ),
    Family(
        "push_queue_workers_max_jobs",
        "Jobs that live workers run at most, together.",
        _one(lambda figures: sum(worker.max_jobs for worker in figures.workers)),
    ),
    Family(
        "push_queue_workers_draining",
        "Live workers that end once their jobs have.",
        _one(lambda figures: sum(one.state is WorkerState.DRAINING for one in figures.workers)),
    ),
    Family(
        "push_queue_workers_with_problems",
        "Live workers that report that a duty for the whole queue fails.",
        _one(lambda figures: sum(bool(worker.problem) for worker in figures.workers)),
    ),
    Family(
        "push_queue_housekeeper_held",
        "Whether a worker keeps the queue in order: moves jobs that become due, repairs tags.",
        _one(lambda figures: figures.housekeeper_seconds > 0),
    ),
    Family(
        "push_queue_housekeeper_lease_seconds",
        "Seconds until that worker's lease would run out; it renews it every second.",
        _one(lambda figures: figures.housekeeper_seconds),
    ),
    Family(
        "push_queue_events",
        "State changes in the event stream, which keeps the latest ten thousand or so.",
        _one(lambda figures: figures.events),
    ),
    Family(
        "push_queue_events_lag_seconds",
        "How far this server is behind the latest event.",
        lambda snapshot: (
            None if snapshot.events_lag_seconds is None else [((), snapshot.events_lag_seconds)]
        ),
    ),
    Family(
        "push_queue_webhook_waiting_events",
        "Events that a receiver of webhooks does not have yet.",
        _webhooks(lambda one: one.waiting),
        ("webhook",),
    ),
    Family(
        "push_queue_webhook_oldest_event_age_seconds",
        "How long the oldest of them has waited; 0 without any.",
        _webhooks(lambda one: one.waiting_seconds),
        ("webhook",),
    ),
    Family(
        "push_queue_webhook_requests_total",
        "Requests to receivers of webhooks, by outcome: `delivered` or `failed`.",
        _queue(_requests),
        ("webhook", "outcome"),
        counter=True,
    ),
    Family(
        "push_queue_webhook_lost_events_total",
        "Events that never arrived: `given_up` after a day, or `dropped` as too many waited.",
        _queue(_lost_events),
        ("webhook", "reason"),
        counter=True,
    ),
    Family(
        "push_queue_spool_used_bytes",
        "Bytes that uploads take in the spool.",
        _spool(lambda spool: spool.used),
    ),
    Family(
        "push_queue_spool_quota_bytes",
        "Bytes that they may take there.",
        _spool(lambda spool: spool.quota),
    ),
    Family(
        "push_queue_spool_room_bytes",
        "Bytes for which there is room, by the quota and by the disk.",
        _spool(lambda spool: spool.room),
    ),
    Family(
        "push_queue_build_info",
        "1; the labels say what runs.",
        lambda _: [((own_version(), platform.python_version()), 1)],
        ("version", "python"),
    ),
)
