"""The metrics of the queue: name, meaning and labels of each.

Names and units follow https://prometheus.io/docs/practices/naming/.
"""

import platform
from collections.abc import Iterator
from dataclasses import dataclass

from prometheus_client import Metric
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

from producer.api.metrics.samples import (
    Source,
    by_registry,
    by_webhook,
    earliest,
    ended_jobs,
    from_queue,
    lost_webhook_events,
    one_from_queue,
    one_from_spool,
    sum_over_workers,
    unix_time,
    webhook_requests,
    workers_by_version,
)
from producer.api.metrics.snapshot import Snapshot
from push_queue.models.fleet import WorkerState
from push_queue.version import own_version


@dataclass(frozen=True, slots=True)
class Family:
    """One metric. It is left out where nothing is known of it."""

    name: str
    help: str
    samples: Source
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


FAMILIES = (
    Family(
        "push_queue_redis_up",
        "1 if Redis answers; 0 if not, and then all figures of the queue are missing.",
        lambda snapshot: [((), snapshot.queue is not None)],
    ),
    Family(
        "push_queue_jobs",
        "Jobs that Redis holds, by state.",
        from_queue(lambda figures: [((state,), count) for state, count in figures.jobs.items()]),
        ("state",),
    ),
    Family(
        "push_queue_due_jobs",
        "Jobs that are due and wait for a worker, without those that registries hold back.",
        from_queue(lambda figures: [((name,), one.due) for name, one in figures.waiting.items()]),
        ("priority",),
    ),
    Family(
        "push_queue_oldest_due_job_age_seconds",
        "How long the oldest of them has been due; 0 if there is none.",
        from_queue(
            lambda figures: [((name,), one.oldest_seconds) for name, one in figures.waiting.items()]
        ),
        ("priority",),
    ),
    Family(
        "push_queue_later_jobs",
        "Jobs whose time has not come yet: scheduled, or between two attempts.",
        from_queue(lambda figures: [((name,), one.later) for name, one in figures.waiting.items()]),
        ("priority",),
    ),
    Family(
        "push_queue_jobs_ended_total",
        "Jobs that have ended since this queue began, by final state and kind of error.",
        from_queue(ended_jobs),
        ("state", "error_kind"),
        counter=True,
    ),
    Family(
        "push_queue_sent_bytes_total",
        "Compressed bytes that all workers have sent since this queue began.",
        one_from_queue(lambda figures: figures.bytes_sent),
        counter=True,
    ),
    Family(
        "push_queue_registry_waiting_jobs",
        "Jobs that wait for a registry that is paused or has no upload slot free.",
        by_registry(lambda registry: registry.waiting),
        ("registry",),
    ),
    Family(
        "push_queue_registry_uploads",
        "Upload slots in use, by all workers together.",
        by_registry(lambda registry: registry.uploads),
        ("registry",),
    ),
    Family(
        "push_queue_registry_max_uploads",
        "Upload slots that a registry has.",
        by_registry(lambda registry: registry.max_uploads),
        ("registry",),
    ),
    Family(
        "push_queue_registry_paused_until_timestamp_seconds",
        "Until when workers leave the registry alone; 0 if they do not.",
        by_registry(lambda registry: unix_time(registry.paused_until), max),
        ("registry",),
    ),
    Family(
        "push_queue_registry_paused_since_timestamp_seconds",
        "When the first of the pauses in a row began; 0 once the registry has answered.",
        by_registry(lambda registry: unix_time(registry.paused_since), earliest),
        ("registry",),
    ),
    Family(
        "push_queue_registry_paused_by_person",
        "Whether a person has paused the registry.",
        by_registry(lambda registry: registry.pause is not None, max),
        ("registry",),
    ),
    Family(
        "push_queue_paused",
        "Whether a person has paused the whole queue.",
        one_from_queue(lambda figures: figures.paused),
    ),
    Family(
        "push_queue_workers",
        "Live workers, by their version.",
        from_queue(workers_by_version),
        ("version",),
    ),
    Family(
        "push_queue_workers_running_jobs",
        "Jobs that live workers say they run.",
        sum_over_workers(lambda worker: worker.running),
    ),
    Family(
        "push_queue_workers_max_jobs",
        "Jobs that live workers run at most, together.",
        sum_over_workers(lambda worker: worker.max_jobs),
    ),
    Family(
        "push_queue_workers_draining",
        "Live workers that take no more jobs, and stop once theirs are done.",
        sum_over_workers(lambda worker: worker.state is WorkerState.DRAINING),
    ),
    Family(
        "push_queue_workers_with_problems",
        "Live workers that report that a duty for the whole queue fails.",
        sum_over_workers(lambda worker: bool(worker.problem)),
    ),
    Family(
        "push_queue_housekeeper_held",
        "Whether a worker keeps the queue in order: moves jobs that become due, repairs tags.",
        one_from_queue(lambda figures: figures.housekeeper_seconds > 0),
    ),
    Family(
        "push_queue_housekeeper_lease_seconds",
        "Seconds until that worker's lease would run out; it renews it every second.",
        one_from_queue(lambda figures: figures.housekeeper_seconds),
    ),
    Family(
        "push_queue_events",
        "State changes in the event stream, which keeps the latest ten thousand or so.",
        one_from_queue(lambda figures: figures.events),
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
        by_webhook(lambda one: one.waiting),
        ("webhook",),
    ),
    Family(
        "push_queue_webhook_oldest_event_age_seconds",
        "How long the oldest of them has waited; 0 if there is none.",
        by_webhook(lambda one: one.waiting_seconds),
        ("webhook",),
    ),
    Family(
        "push_queue_webhook_requests_total",
        "Requests to receivers of webhooks, by outcome: `delivered` or `failed`.",
        from_queue(webhook_requests),
        ("webhook", "outcome"),
        counter=True,
    ),
    Family(
        "push_queue_webhook_lost_events_total",
        "Events that never arrived: `given_up` after a day, or `dropped` as too many waited.",
        from_queue(lost_webhook_events),
        ("webhook", "reason"),
        counter=True,
    ),
    Family(
        "push_queue_spool_used_bytes",
        "Bytes that uploads take in the spool.",
        one_from_spool(lambda spool: spool.used),
    ),
    Family(
        "push_queue_spool_quota_bytes",
        "Bytes that they may take there.",
        one_from_spool(lambda spool: spool.quota),
    ),
    Family(
        "push_queue_spool_room_bytes",
        "Bytes for which there is room, by the quota and by the disk.",
        one_from_spool(lambda spool: spool.room),
    ),
    Family(
        "push_queue_build_info",
        "1; the labels say what runs.",
        lambda _: [((own_version(), platform.python_version()), 1)],
        ("version", "python"),
    ),
)
