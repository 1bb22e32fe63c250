"""Whether those who want to know of jobs that end are told."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

from producer.counted import how_many, waiting
from producer.doctor.finding import Finding, ok, warning
from producer.queue_reader import QueueReader
from push_queue.webhook_outbox import WebhookOutbox, WebhookStatus

LATELY = timedelta(days=1)
"""How long after it lost an event a receiver is warned of."""

_TEST = "mend the receiver, then: push-queue webhooks --test {name}"


async def check(queue: QueueReader) -> AsyncIterator[Finding]:
    """What is found of each receiver.

    Raises:
        RedisUnavailableError: Redis fails.
    """
    for receiver in await WebhookOutbox(queue.database).statuses():
        yield _of(receiver)


def _of(receiver: WebhookStatus) -> Finding:
    subject, advice = f"webhook {receiver.name}", _TEST.format(name=receiver.name)
    if receiver.gone:
        return warning(subject, f"{receiver.origin} wants no more events (410)", advice)
    if receiver.waiting and receiver.failing:
        text = (
            f"{waiting(receiver.waiting, 'event')} for {receiver.origin}: {receiver.last_failure}"
        )
        return warning(subject, text, advice)
    lost = receiver.given_up + receiver.dropped
    if lost and receiver.last_lost_at and datetime.now(UTC) - receiver.last_lost_at < LATELY:
        text = f"{how_many(lost, 'event')} never arrived at {receiver.origin}"
        return warning(subject, f"{text}, the last in the past day", advice)
    never = f"; {lost} never did" if lost else ""
    arrived = f"{how_many(receiver.delivered, 'event')} arrived"
    return ok(subject, f"{arrived} at {receiver.origin}{never}")
