"""The order in which jobs write a tag: the last one enqueued wins, whatever ends last."""

import asyncio
import logging
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from push_queue import Claim, JobStore, RedisUnavailableError, Turn
from registry_api_v2_client import RegistryClient, parse_reference

from .interrupts import DeferError, JobLostError
from .renewal import renewed

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 0.05
"""Between two looks at a turn that another job has; it lasts for a request."""


class TagTurns:
    """``TagOrder`` for one attempt of a job. A turn is a lease of ``seconds``."""

    def __init__(
        self, store: JobStore, claim: Claim, client: RegistryClient, seconds: float
    ) -> None:
        self._store = store
        self._claim = claim
        self._client = client
        self._seconds = seconds

    @asynccontextmanager
    async def turn(self, reference: str, digest: str) -> AsyncIterator[bool]:
        """See ``TagOrder``.

        Raises:
            JobLostError: the job runs elsewhere by now.
            DeferError: this process stood still for longer than its turn.
        """
        token = secrets.token_hex(8)
        if not await self._take(reference, token):
            logger.info("job %s: %s is superseded", self._claim.job.id, reference)
            yield False
            return
        try:
            async with renewed(self._seconds, lambda: self._renew(reference, token)):
                yield True
        except BaseException:
            await self._store.end_turn(self._claim, reference, token)
            raise
        if not await self._store.end_turn(self._claim, reference, token, digest):
            await self._mend(reference, token)

    async def _take(self, reference: str, token: str) -> bool:
        while True:
            turn = await self._store.take_turn(self._claim, reference, token, self._seconds)
            match turn:
                case Turn.WRITE:
                    return True
                case Turn.SUPERSEDED:
                    return False
                case Turn.LOST:
                    raise JobLostError
            await asyncio.sleep(_LOOK_SECONDS)

    async def _renew(self, reference: str, token: str) -> None:
        try:
            await self._store.renew_turn(reference, token, self._seconds)
        except RedisUnavailableError as error:
            logger.warning("the turn at %s is not renewed: %s", reference, error)

    async def _mend(self, reference: str, token: str) -> None:
        """The turn ran out while this process stood still or its request was held up, so the tag
        may have been written over what a later job had put there."""
        if await self._take(reference, token):
            await self._store.end_turn(self._claim, reference, token)
            raise DeferError(f"{reference} was written too slowly to be sure of it", 0.0)
        target = parse_reference(reference)
        registry = self._client.registry(target.registry)
        restored = None
        while restored != (digest := await self._settled_digest(reference)):
            manifest = await registry.manifest(target.repository, digest)
            logger.warning("%s is put back to %s", reference, digest)
            await registry.put_manifest(
                target.repository, target.tag, manifest.raw, manifest.media_type, digest
            )
            restored = digest

    async def _settled_digest(self, reference: str) -> str:
        """What the tag is to stand for, when nobody is writing it."""
        while True:
            digest = await self._store.tag_digest(reference)
            if digest:
                return digest
            await asyncio.sleep(_LOOK_SECONDS)
