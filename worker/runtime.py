"""What a worker process has open while it runs."""

import os
import secrets
import socket
from dataclasses import dataclass, field
from typing import Any

from push_queue.jobs.arq_queue import ArqQueue
from push_queue.jobs.attempts import Attempts
from push_queue.jobs.records import JobRecords
from push_queue.jobs.sources import JobSources
from push_queue.jobs.store import Jobs
from push_queue.jobs.tag_turns import TagTurns
from push_queue.jobs.tag_writes import TagWrites
from push_queue.pauses import Pauses
from push_queue.redis.database import Database
from push_queue.redis.keys import Keys
from push_queue.redis.lease import Lease
from push_queue.registries.limits import RegistryLimits
from push_queue.registries.rates import RegistryRates
from push_queue.scripts import load_all
from push_queue.settings import Settings
from push_queue.worker_roster import WorkerRoster
from registry_api_v2_client import (
    Credentials,
    HttpSettings,
    RegistryClient,
    RetryPolicy,
    SpoolFolder,
    UrlSources,
)

from .cleanup import Cleanup
from .fleet_limits import LONGEST_ASKED, FleetLimits
from .fleet_rate import FleetRate
from .housekeeper import Housekeeper, duties
from .observer import WorkerObserver
from .orphaned_jobs import OrphanedJobs
from .presence import Presence
from .redis_ledger import RedisLedger
from .remote_uploads import RemoteUploads
from .tag_repair import TagRepair
from .webhooks.couriers import Couriers

_REQUEST_RETRY = RetryPolicy(patience=2.0, after_timeouts=False)
"""For retries of one request or blob. For longer waits the job goes back to the queue."""
_HOUSEKEEPER_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Runtime:
    """What all jobs of the process share."""

    worker_id: str
    settings: Settings
    jobs: Jobs
    attempts: Attempts
    sources: JobSources
    tag_turns: TagTurns
    queue: ArqQueue
    client: RegistryClient
    urls: UrlSources
    cleanup: Cleanup
    limits: FleetLimits
    presence: Presence
    housekeeper: Housekeeper
    tag_repair: TagRepair
    couriers: Couriers
    observer: WorkerObserver = field(default_factory=WorkerObserver)
    uploads: RemoteUploads | None = None
    """Without it, uploads are in the spool here."""

    def retry_policy(self, attempts: int) -> RetryPolicy:
        """How a job with this many ``attempts`` is retried."""
        return RetryPolicy(
            attempts=attempts,
            base=self.settings.retry_base_seconds,
            maximum=self.settings.retry_max_seconds,
            patience=LONGEST_ASKED,
        )


def open_runtime(settings: Settings, redis: Any, observer: WorkerObserver | None = None) -> Runtime:
    """Open the registry client and the stores on ``redis``, a connected client.

    ``observer`` hears what the worker does.

    Raises:
        CredentialsError: a login file cannot be read.
        ValidationError: no such folder of certificates, or the environment names a bad proxy.
    """
    load_all()
    database = Database(
        redis,
        Keys(settings.namespace),
        settings.keep_finished_seconds,
        settings.fair_share_by,
    )
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
    presence = Presence(WorkerRoster(database), worker_id, settings.max_jobs)
    limits = _limits(settings, database, presence)
    observer = observer or WorkerObserver()
    observer.watch_jobs(lambda: presence.running, settings.max_jobs)
    rate = FleetRate(RegistryRates(database), worker_id, settings.max_rate_of)
    client = _client(settings, database, limits, rate, observer)
    jobs = Jobs(database)
    sources = JobSources(database)
    queue = ArqQueue(database, settings.registry_max_uploads)
    tag_repair = _tag_repair(settings, database, client)
    uploads = RemoteUploads.of(settings)
    return Runtime(
        worker_id=worker_id,
        settings=settings,
        jobs=jobs,
        attempts=_attempts(settings, database),
        sources=sources,
        tag_turns=TagTurns(database, settings.tag_watch_seconds),
        queue=queue,
        client=client,
        urls=_urls(settings),
        cleanup=Cleanup(jobs, sources, settings, uploads),
        limits=limits,
        presence=presence,
        housekeeper=_housekeeper(database, queue, jobs, tag_repair, presence),
        tag_repair=tag_repair,
        couriers=Couriers(settings, database, presence.problems),
        observer=observer,
        uploads=uploads,
    )


def _limits(settings: Settings, database: Database, presence: Presence) -> FleetLimits:
    return FleetLimits(
        RegistryLimits(database, settings.registry_max_uploads),
        max_uploads=settings.max_uploads,
        lease_seconds=settings.lease_seconds,
        crowded=lambda: presence.running >= settings.max_jobs,
    )


def _client(
    settings: Settings,
    database: Database,
    limits: FleetLimits,
    rate: FleetRate,
    observer: WorkerObserver,
) -> RegistryClient:
    return RegistryClient(
        credentials=settings.logins(Credentials),
        **settings.transport_options,
        ledger=RedisLedger(database, claim_seconds=settings.lease_seconds),
        limits=limits,
        rate=rate,
        retry=_REQUEST_RETRY,
        observer=observer,
    )


def _urls(settings: Settings) -> UrlSources:
    spool = None
    if settings.spool:
        spool = SpoolFolder(settings.spool, settings.spool_quota, settings.spool_keep_free)
    return UrlSources(HttpSettings(**settings.url_options), spool=spool)


def _attempts(settings: Settings, database: Database) -> Attempts:
    return Attempts(
        database,
        registry_max_uploads=settings.registry_max_uploads,
        lease_seconds=settings.lease_seconds,
        give_up_after=settings.give_up_after_seconds,
    )


def _tag_repair(settings: Settings, database: Database, client: RegistryClient) -> TagRepair:
    return TagRepair(
        TagWrites(database, settings.tag_watch_seconds),
        Pauses(database),
        client,
        settings.lease_seconds,
        settings.targets,
    )


def _housekeeper(
    database: Database, queue: ArqQueue, jobs: Jobs, tag_repair: TagRepair, presence: Presence
) -> Housekeeper:
    orphans = OrphanedJobs(queue, jobs, JobRecords(database))
    return Housekeeper(
        Lease(database, database.keys.housekeeper, _HOUSEKEEPER_SECONDS),
        duties(queue, jobs, Pauses(database), tag_repair, orphans),
        presence.problems,
    )


async def close_runtime(runtime: Runtime) -> None:
    await runtime.couriers.stop()
    await runtime.housekeeper.stop()
    await runtime.tag_repair.stop()
    await runtime.presence.stop()
    runtime.urls.close()
    if runtime.uploads:
        runtime.uploads.close()
    await runtime.client.close()
