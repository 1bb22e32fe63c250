"""Everything that is stored of jobs, on one Redis: what producers and workers share out."""

from typing import Any

from push_queue import (
    ArqQueue,
    Attempts,
    Database,
    JobRecords,
    Jobs,
    JobSources,
    Keys,
    RegistryLimits,
    TagTurns,
    TagWrites,
)

WEEK_SECONDS = 7 * 24 * 3600


class Stores:
    """The stores of one namespace, set up alike."""

    def __init__(
        self,
        redis: Any,
        keys: Keys | None = None,
        keep_finished: int = WEEK_SECONDS,
        *,
        registry_max_uploads: int = 50,
        lease_seconds: int = 15,
        give_up_after: int = 24 * 3600,
        tag_watch_seconds: int = 135,
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
