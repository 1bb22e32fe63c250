"""Events for the receivers of webhooks until they are delivered, and how that goes.

The scripts that end a job put its record into the stream of each receiver
(``scripts/shared/webhooks.lua``), in the same step. An event leaves the stream once it is over:
delivered, given up, or dropped because the receiver was away for too long.
"""

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from typing import Annotated, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, NonNegativeInt

from push_queue.errors import WebhookInUseError
from push_queue.jobs.codec import decode, one_line, parse_whatever
from push_queue.models.job_status import JobState, JobStatus
from push_queue.redis.database import Database
from push_queue.settings.webhooks import Webhook

KEPT_SECONDS = 7 * 24 * 3600
"""How long a receiver is known that no worker has in its settings any more."""

START = "-"
"""The place before all events."""


@dataclass(frozen=True, slots=True)
class FinalEvent:
    """A job has entered a final state."""

    sequence: str
    """A number that grows from event to event of a job."""
    place: str
    """In the stream of one receiver."""
    job: JobStatus
    """As it was then."""
    age: float
    """Seconds since then, when it was read."""

    @property
    def id(self) -> str:
        """The same for all receivers. Other queues may have the number, but not for this job."""
        return f"{self.sequence}-{sha256(self.job.id.encode()).hexdigest()[:8]}"


class Wishes(NamedTuple):
    """What the sender of a receiver has to heed."""

    gone: bool
    """The receiver has said that it wants no more."""
    ping: str | None
    """The token of a ping that somebody waits for."""


def _words(value: object) -> object:
    """A list in Redis is one text."""
    return value.split() if isinstance(value, str) else value


class WebhookStatus(BaseModel):
    """How a receiver is doing."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    name: str
    """Its name in ``PUSH_QUEUE_WEBHOOKS``."""
    origin: str
    """``https://host[:port]`` of its URL."""
    states: Annotated[tuple[JobState, ...], BeforeValidator(_words)]
    """The states that it is told of."""
    waiting: NonNegativeInt
    """Events that are not delivered yet."""
    waiting_since: datetime | None
    """When the first of them happened; not set if there is none."""
    waiting_seconds: Annotated[float, Field(ge=0)] = 0
    """Seconds since then; 0 if there is none."""
    delivered: NonNegativeInt = 0
    """Events that arrived."""
    failed: NonNegativeInt = 0
    """Tries to deliver an event that failed."""
    given_up: NonNegativeInt = 0
    """Events that never arrived, although they were tried for a day."""
    dropped: NonNegativeInt = 0
    """Events that made room for newer ones while the receiver was away."""
    last_lost_at: datetime | None = None
    """When an event was given up or dropped last; not set if none was."""
    last_success_at: datetime | None = None
    """When an event arrived last; not set if none has."""
    last_failure_at: datetime | None = None
    """When a try failed last; not set if none has."""
    last_failure: str | None = None
    """What went wrong then, on one line."""
    gone: bool = False
    """It has answered 410, and gets nothing until its URL is changed or a ping is answered."""

    @property
    def failing(self) -> bool:
        """Whether it has failed, and taken nothing since."""
        last = self.last_failure_at
        return last is not None and (self.last_success_at is None or self.last_success_at < last)


class ForgottenWebhook(BaseModel):
    """What was known of a receiver."""

    model_config = ConfigDict(frozen=True)

    events: NonNegativeInt
    """Events that it never gets."""


class WebhookOutbox:
    """The events of one namespace.

    Every method raises :class:`RedisUnavailableError` when Redis fails.
    """

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis
        self._keys = database.keys

    async def register(self, name: str, webhook: Webhook) -> None:
        """Collect events for the receiver from now on, for as long as this is repeated."""
        await self._database.run(
            "plain/register_webhook",
            [self._keys.webhooks, self._keys.webhook(name)],
            [
                *(name, webhook.fingerprint, KEPT_SECONDS),
                *("origin", webhook.origin),
                *("states", " ".join(webhook.states)),
                *("backlog", webhook.backlog),
            ],
        )

    async def read(
        self, name: str, *, after: str = START, limit: int
    ) -> tuple[tuple[FinalEvent, ...], str]:
        """The next events, oldest first, and the place to continue from."""
        first = START if after == START else f"({after}"
        async with self._database.pipeline() as pipeline:
            pipeline.time()
            pipeline.xrange(self._keys.webhook_events(name), first, "+", limit)
            (seconds, microseconds), entries = await pipeline.execute()
        now = seconds + microseconds / 1e6
        events = tuple(_event(place.decode(), decode(fields), now) for place, fields in entries)
        return events, events[-1].place if events else after

    async def discard(self, name: str, places: Sequence[str]) -> None:
        """These events are not for the receiver."""
        if places:
            await self._database.ask(self._redis.xdel(self._keys.webhook_events(name), *places))

    async def delivered(self, name: str, place: str = "") -> None:
        """The receiver has taken the event at that place, or a ping."""
        await self._note(name, "delivered", place)

    async def failed(self, name: str, why: str) -> None:
        """A try has failed."""
        await self._note(name, "failed", "", why)

    async def given_up(self, name: str, place: str, why: str) -> None:
        """The event is not tried again."""
        await self._note(name, "given_up", place, why)

    async def _note(self, name: str, outcome: str, place: str, why: str = "") -> None:
        keys = [self._keys.webhook(name), self._keys.webhook_events(name)]
        await self._database.run("plain/note_delivery", keys, [outcome, place, one_line(why)])

    async def wishes(self, name: str) -> Wishes:
        """What to heed now."""
        gone, ping = await self._database.ask(
            self._redis.hmget(self._keys.webhook(name), ["gone", "ping"])
        )
        return Wishes(bool(gone), ping.decode() if ping else None)

    async def set_gone(self, name: str, gone: bool) -> None:
        """Whether the receiver wants no more."""
        key = self._keys.webhook(name)
        change = self._redis.hset(key, "gone", "1") if gone else self._redis.hdel(key, "gone")
        await self._database.ask(change)

    async def ask_for_ping(self, name: str) -> str:
        """Have the sender send a ping. Returns its token."""
        token = secrets.token_hex(8)
        await self._database.ask(self._redis.hset(self._keys.webhook(name), "ping", token))
        return token

    async def answer_ping(self, name: str, token: str, why: str = "") -> None:
        """The ping was sent; ``why`` it failed, if it did."""
        key = self._keys.webhook(name)
        async with self._database.pipeline(transaction=True) as pipeline:
            pipeline.hdel(key, "ping")
            pipeline.hset(key, "pinged", f"{token} {one_line(why)}")
            await pipeline.execute()

    async def ping_answer(self, name: str, token: str) -> str | None:
        """Why the ping failed; empty if it was taken, None as long as it is not known."""
        answer = await self._database.ask(self._redis.hget(self._keys.webhook(name), "pinged"))
        answered, _, why = answer.decode().partition(" ") if answer else ("", "", "")
        return why if answered == token else None

    async def forget(self, name: str, *, dry_run: bool = False) -> int:
        """Forget a receiver, or only count its events. Returns how many it does not have.

        Raises:
            WebhookInUseError: a worker has it in its settings.
        """
        keys = [
            self._keys.webhook(name),
            self._keys.webhook_events(name),
            self._keys.webhook_sender(name),
        ]
        events: int = await self._database.run("plain/forget_webhook", keys, [int(dry_run)])
        if events < 0:
            raise WebhookInUseError(name)
        return events

    async def statuses(self) -> tuple[WebhookStatus, ...]:
        """All receivers that are known, by name."""
        members = await self._database.ask(self._redis.smembers(self._keys.webhooks))
        names = sorted(member.decode() for member in members)
        async with self._database.pipeline() as pipeline:
            pipeline.time()
            for name in names:
                pipeline.hgetall(self._keys.webhook(name))
                pipeline.xlen(self._keys.webhook_events(name))
                pipeline.xrange(self._keys.webhook_events(name), count=1)
            now, *answers = await pipeline.execute()
        each = zip(names, answers[::3], answers[1::3], answers[2::3], strict=True)
        return tuple(
            _status(name, decode(known), waiting, first, now[0] + now[1] / 1e6)
            for name, known, waiting, first in each
            if known
        )


def _event(place: str, fields: dict[str, str], now: float) -> FinalEvent:
    sequence, job_id = fields.pop("event", place), fields.pop("job", "?")
    job = parse_whatever(job_id, fields)
    return FinalEvent(sequence, place, job, max(0.0, now - _unix(place)))


def _status(
    name: str,
    known: Mapping[str, str],
    waiting: int,
    first: list[tuple[bytes, object]],
    now: float,
) -> WebhookStatus:
    since = _unix(first[0][0].decode()) if first else None
    return WebhookStatus.model_validate(
        {
            **known,
            "name": name,
            "waiting": waiting,
            "waiting_since": None if since is None else datetime.fromtimestamp(since, UTC),
            "waiting_seconds": 0.0 if since is None else max(0.0, now - since),
        }
    )


def _unix(place: str) -> float:
    """Redis' time when the event was written."""
    return int(place.partition("-")[0]) / 1000
