"""One image on its way to its targets: its blobs, then its manifests, then its tags."""

import asyncio
import itertools
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from functools import partial

from ..archive.source import Source
from ..descriptors import BlobInfo
from ..exceptions import BlobUnknownError
from .blob_fan_out import BlobFanOut
from .destinations import Destination, Destinations
from .manifest_push import ManifestPush
from .manifests import BuiltManifest
from .plan import PlannedManifests, PushPlan
from .progress import BlobState
from .sources import BlobSource
from .tagged_images import TaggedImages
from .tasks import together


@dataclass(frozen=True, slots=True)
class PushedImage:
    """What was pushed: the manifest or index, the same at every target.

    ``notes`` tell the user what they may not expect, a line each: what was left out, and why.
    """

    digest: str
    media_type: str
    notes: tuple[str, ...] = ()


class ImagePush:
    """One image on its way to its targets. ``tagged`` are images there to reuse layers from."""

    def __init__(
        self,
        source: Source,
        plan: PushPlan,
        destinations: Destinations,
        blobs: BlobFanOut,
        manifests: ManifestPush,
        slots: asyncio.Semaphore,
        tagged: TaggedImages | None,
    ) -> None:
        self._source = source
        self._plan = plan
        self._destinations = destinations
        self._blobs = blobs
        self._manifests = manifests
        self._slots = slots
        self._tagged = tagged
        self._reused: dict[str, BlobInfo] = {}
        self._pushed: dict[str, BlobInfo] = {}
        """Blobs by the key of their source. Those in ``_reused`` come from tagged images."""
        self._main: BuiltManifest | None = None

    async def run(self) -> PushedImage:
        # All blobs are reported before the first is sent, so that totals are known.
        for destination in self._destinations.left:
            self._report(destination, BlobState.WAITING)
        manifests = await self._known_manifests()
        if manifests:
            await self._destinations.each(partial(self._tag_what_is_there, manifests))
        if self._destinations.left:
            manifests = await self._bring_blobs()
            await self._destinations.each(partial(self._write, manifests))
        self._destinations.raise_failure()
        if self._main is None:
            raise ValueError("an image needs at least one place to go to")
        notes = (*self._plan.notes, *self._manifests.notes)
        return PushedImage(self._main.digest, self._main.media_type, notes)

    async def _known_manifests(self) -> PlannedManifests | None:
        """The manifests, if they are known without encoding a layer."""
        known = {source: await self._blobs.known(source) for source in self._plan.sources}
        unknown = [source for source, blob in known.items() if not blob]
        if unknown and self._tagged:
            await self._reuse(unknown, self._tagged)
        blobs = {source.key: blob for source, blob in known.items() if blob} | self._reused
        return self._build(blobs) if len(blobs) == len(known) else None

    async def _reuse(self, sources: Sequence[BlobSource], tagged: TaggedImages) -> None:
        """Take blobs of tagged images, if all destinations name and have the same one."""

        async def take(source: BlobSource, blob: BlobInfo) -> None:
            async with self._slots:
                if await self._blobs.has_everywhere(source, blob, self._destinations):
                    self._reused[source.key] = blob

        await self._destinations.each(lambda destination: tagged.look(destination.target))
        await together(itertools.starmap(take, tagged.blobs(sources)))

    def _build(self, blobs: Mapping[str, BlobInfo]) -> PlannedManifests:
        self._pushed |= blobs
        manifests = self._plan.manifests(self._pushed)
        if self._tagged:
            manifests = replace(manifests, main=self._tagged.manifest(manifests.main))
        self._main = manifests.main
        return manifests

    async def _tag_what_is_there(
        self, manifests: PlannedManifests, destination: Destination
    ) -> None:
        if await self._manifests.is_there(destination.target, manifests):
            self._report(destination, BlobState.EXISTS)
            with suppress(BlobUnknownError):  # blobs are missing, and are sent next
                await self._manifests.tag(destination.target, manifests, maybe_there=True)
                self._destinations.done(destination)

    async def _bring_blobs(self) -> PlannedManifests:
        blobs = await self._bring(self._plan.sources, self._destinations)
        self._source.check_unchanged()  # all has been read, and no tag names it yet
        return self._build(blobs)

    async def _bring(
        self, sources: Sequence[BlobSource], destinations: Destinations
    ) -> dict[str, BlobInfo]:
        async def bring(source: BlobSource) -> BlobInfo:
            if reused := self._reused.get(source.key):
                return reused
            async with self._slots:
                return await self._blobs.bring(source, destinations)

        blobs = await together(map(bring, sources))
        return {source.key: blob for source, blob in zip(sources, blobs, strict=True)}

    async def _write(self, manifests: PlannedManifests, destination: Destination) -> None:
        try:
            await self._manifests.write(destination.target, manifests)
        except BlobUnknownError as error:
            manifests = await self._send_again(destination, error.digests)
            with _explained(destination.host):
                await self._manifests.write(destination.target, manifests)
        await self._manifests.tag(destination.target, manifests)
        self._destinations.done(destination)

    async def _send_again(
        self, destination: Destination, digests: Collection[str]
    ) -> PlannedManifests:
        """Send blobs that the registry wrongly said it has: those of the digests, or else all.

        Where a blob came from a tagged image, the manifests then name another one.
        """
        blobs = {source: self._pushed[source.key] for source in self._plan.sources}
        named = [source for source, blob in blobs.items() if blob.digest in digests]
        lacking = named or list(blobs)
        for source in lacking:
            self._reused.pop(source.key, None)
        await destination.blobs.disbelieve(map(blobs.__getitem__, lacking))
        return self._build(await self._bring(lacking, Destinations([destination])))

    def _report(self, destination: Destination, state: BlobState) -> None:
        for source in self._plan.sources:
            destination.blobs.report(source, source.size if state.final else 0, state)


@contextmanager
def _explained(registry: str) -> Iterator[None]:
    """Explain the error of a registry that lacks blobs which were just sent to it."""
    try:
        yield
    except BlobUnknownError as error:
        raise error.restated(
            BlobUnknownError,
            f"{error}; {registry} said that it had these blobs, but lacks them after they were "
            "sent again: does it cache what its garbage collection has deleted?",
        ) from error
