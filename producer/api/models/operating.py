"""Pauses, deletions and pings, which people ask for."""

from typing import Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from producer.api.models.values import whole
from push_queue.models.job import MOST_PATIENCE_SECONDS
from push_queue.models.pause import MOST_REASON, Pause
from push_queue.webhook_outbox import WebhookStatus


class NewPause(BaseModel):
    """How long to pause, and why."""

    model_config = ConfigDict(strict=True, extra="forbid")

    seconds: (
        Annotated[int, Field(ge=1, le=MOST_PATIENCE_SECONDS), BeforeValidator(whole)] | None
    ) = None
    """Seconds that the pause lasts; without them, it lasts until it is ended."""
    reason: Annotated[str, StringConstraints(min_length=1, max_length=MOST_REASON)] | None = None
    """Why, on one line; it is shown wherever the pause is."""


class PurgeQuery(BaseModel):
    """How to delete."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    dry_run: bool = False
    """Answer with what would be deleted, and delete nothing."""


class QueueState(BaseModel):
    """What holds for the whole queue."""

    pause: Pause | None
    """The pause of the whole queue, during which workers take no new job; null if there is none."""


class WebhookList(BaseModel):
    """The receivers of webhooks, by name."""

    webhooks: tuple[WebhookStatus, ...]
    """All of them, by their names."""


class Ping(BaseModel):
    """What came of a ping."""

    failure: str = ""
    """Why the receiver has not taken it; empty if it has."""
    problem: str = ""
    """Why no worker has sent it; empty if one has."""
