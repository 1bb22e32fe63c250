"""The couriers of this worker, one for each receiver in its settings."""

import asyncio

from push_queue.redis.database import Database
from push_queue.redis.lease import Lease
from push_queue.settings import Settings
from push_queue.webhook_outbox import WebhookOutbox
from registry_api_v2_client import RetryPolicy

from .courier import Courier
from .delivery import Delivery


class Couriers:
    """A receiver that is slow or down holds up neither the others nor any push."""

    def __init__(self, settings: Settings, database: Database, problems: dict[str, str]) -> None:
        outbox = WebhookOutbox(database)
        retry = RetryPolicy(base=settings.retry_base_seconds, maximum=settings.retry_max_seconds)
        self._couriers = [
            Courier(
                name,
                webhook,
                namespace=settings.namespace,
                outbox=outbox,
                delivery=Delivery(webhook, settings),
                lease=Lease(database, database.keys.webhook_sender(name), settings.lease_seconds),
                retry=retry,
                problems=problems,
            )
            for name, webhook in settings.webhooks.items()
        ]

    async def start(self) -> None:
        for courier in self._couriers:
            await courier.start()

    async def stop(self) -> None:
        await asyncio.gather(*(courier.stop() for courier in self._couriers))
