"""The jobs that wait for a worker, by the lists that say so."""

from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from redis.asyncio.client import Pipeline

from push_queue.jobs.arq_queue import LEADS
from push_queue.models.job import Priority
from push_queue.redis.keys import Keys


class WaitingJobs(NamedTuple):
    """The jobs of one priority that wait for a worker, without those held back by registries."""

    due: int
    oldest_seconds: float
    """How long the first of them has been due; 0 if there is none."""
    later: int
    """Those whose time has not come yet: scheduled, or between two attempts."""


def ask_for_waiting(pipeline: Pipeline, keys: Keys, now_ms: int) -> None:
    """Add to the pipeline what ``read_waiting`` reads the replies of."""
    for priority in LEADS:
        due = keys.due(priority)
        pipeline.zcount(due, "-inf", now_ms)
        pipeline.zrange(due, 0, 0, withscores=True)
        pipeline.zcard(due)


def read_waiting(replies: Iterator[Any], now_ms: int) -> Mapping[Priority, WaitingJobs]:
    """The jobs of each priority, from the next replies."""
    return {
        priority: _waiting(now_ms, next(replies), next(replies), next(replies))
        for priority in LEADS
    }


def _waiting(now_ms: int, due: int, first: list[tuple[bytes, float]], listed: int) -> WaitingJobs:
    oldest_ms = max(0.0, now_ms - first[0][1]) if first else 0.0
    return WaitingJobs(due, oldest_ms / 1000, listed - due)
