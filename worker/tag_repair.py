"""Puts right what arrives at a registry after its turn: an old image at a tag that has a newer one.

A request that was held up on its way, of a worker that died, stood still or lost the connection,
may write a tag over a newer job's image. So tags with writes of unknown outcome are looked at
again and again until none can arrive any more, and where one shows an outdated image, the newest
is put back. An image that no job of ours has noted is left alone: somebody wants it there.
"""

import asyncio
import logging
from collections.abc import Sequence

from push_queue import RedisUnavailableError, TagWrite, TagWrites, UnsettledTag
from registry_api_v2_client import RegistryClient, RegistryError, parse_reference

from .tag_order import is_answer
from .targets import check_targets

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 3.0
"""Between two looks at a tag."""
_LOOK_AGAIN_SECONDS = 60.0
"""The most between two looks where the registry fails, or refuses: as long as it has done so
since the last write could arrive."""
_GIVE_UP_SECONDS = 24 * 3600.0
"""After the last write could arrive: a registry that was away for so long is given up."""
_LOOKS = 20
"""Tags that are looked at at once."""


class TagRepair:
    """A duty of the worker that leads. A turn to put a tag right lasts ``turn_seconds``.

    ``targets`` are the patterns that ``check_targets`` takes: what stands in Redis may be forged.
    """

    def __init__(
        self,
        writes: TagWrites,
        client: RegistryClient,
        turn_seconds: float,
        targets: Sequence[str] = (),
    ) -> None:
        self._writes = writes
        self._client = client
        self._turn_seconds = turn_seconds
        self._targets = targets
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(_LOOKS)

    async def work(self) -> None:
        """Begin to look at the tags that want it; does not wait for registries."""
        for tag in await self._writes.unsettled():
            if tag.target not in self._looks:
                self._looks[tag.target] = asyncio.create_task(self._look(tag))

    async def stop(self) -> None:
        looks = list(self._looks.values())
        for look in looks:
            look.cancel()
        await asyncio.gather(*looks, return_exceptions=True)

    async def _look(self, tag: UnsettledTag) -> None:
        """Look at a tag, and have it left alone until it is due again."""
        pause = _LOOK_SECONDS
        try:
            async with self._room:
                await self.settle(tag)
        except (RegistryError, TimeoutError, RedisUnavailableError) as error:
            reason = str(error) or "no answer in time"
            logger.warning("%s may show an outdated image: cannot look: %s", tag.target, reason)
            pause = max(pause, min(tag.overdue, _LOOK_AGAIN_SECONDS))
        except Exception:  # the task's outermost frame
            pause = _LOOK_AGAIN_SECONDS
            logger.exception("%s may show an outdated image: unexpected error", tag.target)
        await asyncio.sleep(pause)
        del self._looks[tag.target]

    async def settle(self, tag: UnsettledTag) -> None:
        """Make the tag stand for its newest image; if it does, forget writes whose time is over.

        Raises:
            RegistryError, TimeoutError: the registry fails, or refuses.
            RedisUnavailableError: Redis fails.
        """
        if tag.overdue >= _GIVE_UP_SECONDS:
            logger.error("%s is given up: it may show an outdated image", tag.target)
        elif await self._is_outdated(tag):
            await self._put_back(tag)
            return
        if tag.over:
            await self._writes.forget(tag.over)

    async def _is_outdated(self, tag: UnsettledTag) -> bool:
        if not tag.outdated:
            return False
        reference = parse_reference(tag.target)
        check_targets([reference], self._targets)
        registry = self._client.registry(reference.registry)
        shown = await registry.manifests.digest(reference.repository, reference.tag)
        return shown in tag.outdated

    async def _put_back(self, tag: UnsettledTag) -> None:
        assert tag.newest
        reference = parse_reference(tag.target)
        registry = self._client.registry(reference.registry)
        manifest = await registry.manifests.get(reference.repository, tag.newest)
        write = TagWrite(tag.target, tag.newest, tag.sequence)
        # Counted from before the turn: a process that stood still sends nothing after it.
        async with asyncio.timeout(self._turn_seconds):
            if not await self._writes.take_turn(write, self._turn_seconds):
                return
            try:
                await registry.manifests.put(
                    reference.repository,
                    reference.tag,
                    manifest.raw,
                    manifest.media_type,
                    write.digest,
                )
            except RegistryError as error:
                if is_answer(error):
                    await self._writes.end_turn(write)
                raise
            await self._writes.end_turn(write)
        logger.warning(
            "%s showed an outdated image, written late: put back to %s", tag.target, write.digest
        )
