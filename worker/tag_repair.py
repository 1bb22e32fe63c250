"""Repairs tags that a late request has set back to an old image.

A worker may die, hang, or lose its connection while it writes a tag. If its request is delayed on
the way, it may overwrite a newer job's image. So a tag with a write of unknown outcome is watched
until no write can arrive any more. If it shows an outdated image, the newest one is put back. An
image that no job has noted is left alone: another client put it there.
"""

import asyncio
import logging
from collections.abc import Sequence

from push_queue.cancelling import cancel_all
from push_queue.errors import RedisUnavailableError
from push_queue.jobs.tag_writes import TagWrite, TagWrites, UnsettledTag
from push_queue.pauses import Pauses
from registry_api_v2_client import RegistryClient, RegistryError, parse_reference

from .allowed_targets import check_targets
from .redis_tag_order import is_answer

logger = logging.getLogger(__name__)

_LOOK_SECONDS = 3.0
"""The time between two looks at a tag."""
_LOOK_AGAIN_SECONDS = 60.0
"""The longest time between two looks if the registry fails or refuses. The wait grows with the time
since the last write could arrive."""
_GIVE_UP_SECONDS = 24 * 3600.0
"""How long after the last write could arrive a look that fails is the last one."""
_LOOKS = 20
"""How many tags to look at in parallel."""


class TagRepair:
    """A duty of the leading worker. A turn to repair a tag lasts ``turn_seconds``.

    Registries that a person has paused are left alone until that is over.
    ``targets`` are patterns for ``check_targets``, since what Redis holds may be forged.
    """

    def __init__(
        self,
        writes: TagWrites,
        pauses: Pauses,
        client: RegistryClient,
        turn_seconds: float,
        targets: Sequence[str] = (),
    ) -> None:
        self._writes = writes
        self._pauses = pauses
        self._client = client
        self._turn_seconds = turn_seconds
        self._targets = targets
        self._looks: dict[str, asyncio.Task[None]] = {}
        self._room = asyncio.Semaphore(_LOOKS)

    async def work(self) -> None:
        """Start looking at the tags that are due, without waiting for registries."""
        unsettled = await self._writes.unsettled()
        paused = await self._pauses.all() if unsettled else {}
        for tag in unsettled:
            if tag.target not in self._looks and tag.registry not in paused:
                self._looks[tag.target] = asyncio.create_task(self._look(tag))

    async def stop(self) -> None:
        await cancel_all(self._looks.values())

    async def _look(self, tag: UnsettledTag) -> None:
        """Look at a tag, then leave it alone until it is due again."""
        pause = _LOOK_SECONDS
        try:
            async with self._room:
                await self.settle(tag)
        except (RegistryError, TimeoutError, RedisUnavailableError) as error:
            reason = str(error) or "no answer in time"
            logger.warning(
                "%s may show an outdated image: it cannot be checked: %s", tag.target, reason
            )
            pause = max(pause, min(tag.overdue, _LOOK_AGAIN_SECONDS))
        except Exception:  # the task's outermost frame
            pause = _LOOK_AGAIN_SECONDS
            logger.exception("%s may show an outdated image: unexpected error", tag.target)
        await asyncio.sleep(pause)
        del self._looks[tag.target]

    async def settle(self, tag: UnsettledTag) -> None:
        """Put the newest image back if the tag is outdated, else forget writes that are over.

        Raises:
            RegistryError, TimeoutError: the registry fails, or refuses.
            RedisUnavailableError: Redis fails.
        """
        try:
            if await self._is_outdated(tag):
                await self._put_back(tag)
                return
        except (RegistryError, TimeoutError) as error:
            if tag.overdue < _GIVE_UP_SECONDS:
                raise
            logger.error("%s is given up: it may show an outdated image: %s", tag.target, error)
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
        # The time is measured from before the turn, so that a process that was suspended sends
        # nothing after it.
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
