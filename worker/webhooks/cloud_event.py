"""Events as CloudEvents 1.0 in JSON.

Source: https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/formats/json-format.md
"""

import json
from typing import Any

from push_queue.webhook_outbox import FinalEvent

CONTENT_TYPE = "application/cloudevents+json; charset=utf-8"

_TYPES = "push-queue"


def event_of_job(event: FinalEvent, namespace: str) -> bytes:
    """``data`` is the job as ``push-queue list --json`` shows it: without the query of a URL."""
    job = event.job.model_dump(mode="json")
    return _event(
        namespace,
        id=event.id,
        type=f"{_TYPES}.job.{event.job.state}",
        subject=event.job.id,
        **({"time": job["finished_at"]} if job["finished_at"] else {}),
        # https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/extensions/sequence.md
        sequence=event.sequence,
        data=job,
    )


def event_of_ping(token: str, namespace: str) -> bytes:
    """An event that is about no job."""
    return _event(namespace, id=token, type=f"{_TYPES}.ping", data={})


def _event(namespace: str, **attributes: Any) -> bytes:
    event = {
        "specversion": "1.0",
        "source": f"push-queue:{namespace}",
        "datacontenttype": "application/json",
        **attributes,
    }
    return json.dumps(event, ensure_ascii=False).encode()
