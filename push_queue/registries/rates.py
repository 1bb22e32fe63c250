"""The bandwidth to a registry that all workers share."""

from dataclasses import dataclass

from push_queue.redis.database import Arguments, Database


@dataclass(frozen=True, slots=True)
class Grant:
    """Bytes that a worker may send, ``wait`` to ``ends`` seconds after they were granted."""

    bytes: int
    wait: float
    ends: float


class RegistryRates:
    """Gives out the bandwidth to registries, each named by its host in references."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._keys = database.keys

    async def grant(self, registry: str, worker: str, bytes_per_second: int) -> Grant:
        """The next bytes that the worker may send.

        Ask for the next grant when this one is used up, or has ended. All workers together get
        ``bytes_per_second``, in equal shares as far as they ask for them. A worker that does not
        ask for two seconds gives its share to the others.
        """
        keys = [self._keys.senders(registry), self._keys.granted(registry)]
        arguments: Arguments = [self._keys.namespace, worker, bytes_per_second]
        count, wait_ms, end_ms = await self._database.run("registry/grant_bytes", keys, arguments)
        return Grant(count, wait_ms / 1000, end_ms / 1000)
