"""What a person has paused: the whole queue, one registry, or one worker, which is drained then."""

from datetime import UTC, datetime
from typing import Any, Self

from pydantic import BaseModel, ConfigDict

WHOLE_QUEUE = "*"
"""In place of a registry."""
_WORKER = "worker/"
"""No host of a registry has a slash."""
MOST_REASON = 200
"""Characters that say why."""


class Pause(BaseModel):
    """It lasts until its end, or until a person ends it; nothing else does."""

    model_config = ConfigDict(frozen=True)

    since: datetime
    """When it began."""
    until: datetime | None = None
    """Its end; not set if it has none."""
    by: str | None = None
    """The caller of the HTTP API that set it, where the server knows callers by name."""
    reason: str | None = None
    """Why, on one line; not set if nobody has said."""

    @classmethod
    def read(cls, stored: dict[str, Any]) -> Self:
        """As it is in Redis, with times in milliseconds of Unix time."""
        times = {name: _moment(stored[name]) for name in ("since", "until") if name in stored}
        return cls.model_validate({**stored, **times})

    def holds_at(self, now: datetime) -> bool:
        """Whether it is not over yet."""
        return self.until is None or now < self.until


def _moment(milliseconds: float) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, UTC)


def worker_named(worker_id: str) -> str:
    """In place of a registry, the worker."""
    return f"{_WORKER}{worker_id}"


def is_registry(what: str) -> bool:
    """Whether it is a registry that is paused."""
    return what != WHOLE_QUEUE and not what.startswith(_WORKER)
