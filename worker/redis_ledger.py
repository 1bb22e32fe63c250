"""What all workers know about blobs, in Redis: the fleet compresses and uploads a layer once.

A push succeeds without it: if Redis fails, the engine continues as if nothing were known. Entries
may be stale, so the engine asks the registry to confirm them.
"""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from dataclasses import asdict
from typing import Any

from pydantic import TypeAdapter, ValidationError

from push_queue.errors import RedisUnavailableError
from push_queue.redis.database import Database
from push_queue.redis.lease import Lease
from registry_api_v2_client import BlobInfo
from registry_api_v2_client.push.ledger import Claims

from .periodic import renewals

logger = logging.getLogger(__name__)

_KNOWLEDGE_SECONDS = 7 * 24 * 3600
"""Since the last use. A base image that is pushed daily stays known, layers of one build do not."""
_UPLOAD_SECONDS = 24 * 3600
"""Registries purge unfinished uploads within days. The distribution registry takes a week."""
_MOUNT_CANDIDATES = 3
"""Repositories to try to mount from. Each costs a request, and one is nearly always enough."""
_WORTH_A_CLAIM = 1 << 20
"""In bytes. Sending a smaller blob twice takes less time than agreeing on one sender."""
_LOOK_SECONDS = 0.1
"""The time between two looks at another worker's claim."""

_BLOB = TypeAdapter(BlobInfo)


class RedisLedger:
    """A ``BlobLedger``. A claim is a lease of ``claim_seconds``, so a dead worker's expires."""

    def __init__(self, database: Database, claim_seconds: int) -> None:
        self._database = database
        self._redis = database.redis
        self._keys = database.keys
        self._claim_seconds = claim_seconds
        self._claims = Claims()
        self._uploads: dict[str, str] = {}

    async def encoded(self, key: str) -> BlobInfo | None:
        name = self._keys.layer(key)
        content = await self._ask(self._redis.getex(name, ex=_KNOWLEDGE_SECONDS))
        return _parse(content) if content else None

    async def remember_encoded(self, key: str, blob: BlobInfo) -> None:
        content = json.dumps(asdict(blob))
        await self._ask(self._redis.set(self._keys.layer(key), content, ex=_KNOWLEDGE_SECONDS))

    async def repositories(self, registry: str, digest: str) -> Collection[str]:
        key = self._keys.blob(registry, digest)
        members = await self._ask(self._redis.srandmember(key, _MOUNT_CANDIDATES))
        return [member.decode() for member in members or ()]

    async def remember_repository(self, registry: str, repository: str, digest: str) -> None:
        key = self._keys.blob(registry, digest)
        async with self._redis.pipeline(transaction=False) as pipe:
            pipe.sadd(key, repository)
            pipe.expire(key, _KNOWLEDGE_SECONDS)
            await self._ask(pipe.execute())

    async def forget_repository(self, registry: str, repository: str, digest: str) -> None:
        await self._ask(self._redis.srem(self._keys.blob(registry, digest), repository))

    async def upload(self, registry: str, repository: str, key: str) -> str | None:
        name = self._keys.upload(registry, repository, key)
        location = await self._ask(self._redis.get(name))
        if location is None:
            return None
        self._uploads[name] = location.decode()
        return self._uploads[name]

    async def remember_upload(
        self, registry: str, repository: str, key: str, location: str
    ) -> None:
        name = self._keys.upload(registry, repository, key)
        self._uploads[name] = location
        await self._ask(self._redis.set(name, location, ex=_UPLOAD_SECONDS))

    async def forget_upload(self, registry: str, repository: str, key: str) -> None:
        name = self._keys.upload(registry, repository, key)
        # Another worker may have started a new one because it believed this worker dead. That one
        # stays.
        location = self._uploads.pop(name, "")
        await self._ask(self._database.run("plain/delete_if", [name], [location]))

    @asynccontextmanager
    async def claim(self, registry: str, key: str, size: int) -> AsyncIterator[bool]:
        if size < _WORTH_A_CLAIM:
            yield True
            return
        name = self._keys.claim(registry, key)
        lease = Lease(self._database, name, self._claim_seconds)
        # The tasks of this worker agree first, so that only one asks Redis.
        async with self._claims.claim(name) as mine:
            if mine and await self._take(name, lease):
                try:
                    async with renewals(self._claim_seconds, lambda: self._ask(lease.renew())):
                        yield True
                finally:
                    await self._ask(lease.give_back())
                return
        yield False

    async def _take(self, name: str, lease: Lease) -> bool:
        """Take the claim. If another worker has it, wait until it is free, and return False."""
        if await self._ask(lease.take()) is False:
            while await self._ask(self._redis.exists(name)):  # noqa: ASYNC110 - it is in Redis
                await asyncio.sleep(_LOOK_SECONDS)
            return False
        return True

    async def _ask(self, reply: Any) -> Any:
        try:
            return await self._database.ask(reply)
        except RedisUnavailableError as error:
            logger.warning("the ledger of blobs cannot be read or written: %s", error)
            return None


def _parse(content: bytes) -> BlobInfo | None:
    """The entry, or None if another release wrote it in another format."""
    try:
        return _BLOB.validate_json(content, extra="forbid")
    except ValidationError:
        return None
