"""What one worker process has open while it runs, and how it is opened and closed."""

import os
import secrets
import socket
from dataclasses import dataclass
from typing import Any

from push_queue import (
    Dispatch,
    JobStore,
    Keys,
    Leadership,
    RegistryLimits,
    Settings,
    TagWrites,
    WorkerRegistry,
)
from registry_api_v2_client import Credentials, RegistryClient, RetryPolicy

from .cleanup import Cleanup
from .fleet_limits import LONGEST_ASKED, FleetLimits
from .housekeeper import Housekeeper
from .presence import Presence
from .redis_ledger import RedisLedger
from .tag_repair import TagRepair

_REQUEST_RETRY = RetryPolicy(patience=2.0, after_timeouts=False)
"""Of single requests and blobs: a longer wait, or a further one, is spent in the queue, not at a
worker."""
_HOUSEKEEPER_SECONDS = 10


@dataclass(frozen=True, slots=True)
class Runtime:
    """Shared by all jobs of the process."""

    worker_id: str
    settings: Settings
    store: JobStore
    dispatch: Dispatch
    client: RegistryClient
    cleanup: Cleanup
    limits: FleetLimits
    presence: Presence
    housekeeper: Housekeeper

    def retry_policy(self, attempts: int) -> RetryPolicy:
        """How a job of so many attempts is retried."""
        return RetryPolicy(
            attempts=attempts,
            base=self.settings.retry_base_seconds,
            maximum=self.settings.retry_max_seconds,
            patience=LONGEST_ASKED,
        )


def open_runtime(settings: Settings, redis: Any) -> Runtime:
    """Open the registry client and the stores on ``redis``, a connected client.

    Raises:
        CredentialsError: a file of logins cannot be read.
        ValidationError: there is no such folder of certificates, or no such kind of proxy.
    """
    keys = Keys(settings.namespace)
    worker_id = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(2)}"
    credentials = {
        host: Credentials(auth.username, auth.password.get_secret_value())
        for host, auth in settings.registry_auth.items()
    }
    presence = Presence(WorkerRegistry(redis, keys), worker_id)
    limits = FleetLimits(
        RegistryLimits(redis, keys, settings.registry_max_uploads),
        max_uploads=settings.max_uploads,
        lease_seconds=settings.lease_seconds,
        crowded=lambda: presence.running >= settings.max_jobs,
    )
    client = RegistryClient(
        credentials=credentials,
        **settings.transport_options,
        ledger=RedisLedger(redis, keys, claim_seconds=settings.lease_seconds),
        limits=limits,
        retry=_REQUEST_RETRY,
    )
    store = JobStore(
        redis,
        keys,
        settings.keep_finished_seconds,
        settings.registry_max_uploads,
        settings.lease_seconds,
        settings.tag_watch_seconds,
        settings.give_up_after_seconds,
    )
    tag_repair = TagRepair(
        TagWrites(redis, keys, settings.tag_watch_seconds),
        client,
        settings.lease_seconds,
        settings.targets,
    )
    dispatch = Dispatch(redis, keys, settings.registry_max_uploads)
    leadership = Leadership(redis, keys.housekeeper, _HOUSEKEEPER_SECONDS)
    return Runtime(
        worker_id=worker_id,
        settings=settings,
        store=store,
        dispatch=dispatch,
        client=client,
        cleanup=Cleanup(store, settings.source_roots),
        limits=limits,
        presence=presence,
        housekeeper=Housekeeper(dispatch, store, leadership, tag_repair, presence.problems),
    )


async def close_runtime(runtime: Runtime) -> None:
    await runtime.housekeeper.stop()
    await runtime.presence.stop()
    await runtime.client.close()
