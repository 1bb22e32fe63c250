"""All stores of the queue on one Redis."""

from typing import Any

from push_queue.jobs.arq_queue import ArqQueue
from push_queue.jobs.attempts import Attempts
from push_queue.jobs.records import JobRecords
from push_queue.jobs.sources import JobSources
from push_queue.jobs.store import Jobs
from push_queue.jobs.tag_turns import TagTurns
from push_queue.jobs.tag_writes import TagWrites
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.registries.limits import RegistryLimits
from push_queue.settings import (
    DAY_SECONDS,
    LEASE_SECONDS,
    REGISTRY_MAX_UPLOADS,
    TAG_WATCH_SECONDS,
    WEEK_SECONDS,
)
from push_queue.worker_roster import WorkerRoster


class Stores:
    """The stores of one namespace, as workers have them."""

    def __init__(
        self,
        redis: Any,
        keys: Keys | None = None,
        keep_finished: int = WEEK_SECONDS,
        *,
        registry_max_uploads: int = REGISTRY_MAX_UPLOADS,
        lease_seconds: int = LEASE_SECONDS,
        give_up_after: int = DAY_SECONDS,
        tag_watch_seconds: int = TAG_WATCH_SECONDS,
    ) -> None:
        self.database = Database(redis, keys or Keys(), keep_finished)
        self.jobs = Jobs(self.database)
        self.records = JobRecords(self.database)
        self.sources = JobSources(self.database)
        self.attempts = Attempts(
            self.database,
            registry_max_uploads=registry_max_uploads,
            lease_seconds=lease_seconds,
            give_up_after=give_up_after,
        )
        self.turns = TagTurns(self.database, tag_watch_seconds)
        self.writes = TagWrites(self.database, tag_watch_seconds)
        self.queue = ArqQueue(self.database, registry_max_uploads)
        self.limits = RegistryLimits(self.database, registry_max_uploads)
        self.roster = WorkerRoster(self.database)
