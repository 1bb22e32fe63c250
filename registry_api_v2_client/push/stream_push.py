"""Brings the layers of a tar on standard input to all targets while the rest is still coming.

What they belong to is not known yet. The digests that this leaves in the ledger tell the push of
the image, later, that it need not send them again.
"""

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

from ..archive.arrivals import Arrival
from ..archive.image_archive import ImageArchive
from ..archive.model import ArchiveContent
from ..archive.tar_stream import TarStream
from ..media_types import OCI
from .blob_fan_out import BlobFanOut
from .blocks import BlockPool
from .compression import CompressionPolicy, compression_of, encoder_for
from .destinations import Destinations
from .progress import BlobProgress, OnProgress
from .sources import LayerSource
from .tasks import as_one


class StreamPush:
    """Sends the layers of one stream; ``slots`` bound how many at the same time."""

    def __init__(
        self,
        stream: TarStream,
        destinations: Destinations,
        blobs: BlobFanOut,
        pool: BlockPool,
        compression: CompressionPolicy,
        slots: asyncio.Semaphore,
    ) -> None:
        self._stream = stream
        self._destinations = destinations
        self._targets = len(destinations.left)
        self._blobs = blobs
        self._pool = pool
        self._compression = compression
        self._slots = slots

    async def run(self) -> None:
        """Send layers until all of the tar has come.

        Raises:
            TarReadError: the tar is broken, or cut short.
            RegistryError: no target is left.
        """
        await as_one(self._bring_all())

    async def _bring_all(self) -> None:
        async with asyncio.TaskGroup() as group, aclosing(self._stream.layers()) as layers:
            async for arrival in layers:
                group.create_task(self._bring(arrival))

    async def _bring(self, arrival: Arrival) -> None:
        async with self._slots:
            source = await self._source(arrival)
            await self._blobs.bring(source, self._destinations)
        # What a target has missed, it gets from the temporary file at the end.
        arrival.settle(drop=len(self._destinations.left) == self._targets)

    async def _source(self, arrival: Arrival) -> LayerSource:
        digest = await self._pool.start_reading(True, arrival.digest)
        stored = arrival.compression
        if stored is None:
            raise ValueError(f"{arrival.member.name} is no layer")
        encoder = encoder_for(self._compression, stored)
        media_type = OCI.layers[compression_of(encoder, stored)]
        return LayerSource(self._stream.files, arrival.member, digest, encoder, media_type)


def without_sent(stream: TarStream, on_progress: OnProgress) -> OnProgress:
    """Reports of all blobs but the layers that have been sent, and reported, as they came."""
    sent = {layer.digest() for layer in stream.sent}

    def report(progress: BlobProgress) -> None:
        if progress.digest not in sent:
            on_progress(progress)

    return report


def needless(stream: TarStream, archive: ImageArchive, content: ArchiveContent) -> Iterator[str]:
    """A note about layers that were sent before it was known that nothing names them."""
    contents = [content, *(companion.content for companion in archive.companions)]
    images = [image for one in contents for image in one.images]
    named = {layer.member for image in images for layer in image.layers}
    sizes = [layer.member.size for layer in stream.sent if layer.member not in named]
    if sizes:
        yield (
            f"{len(sizes)} layers of {sum(sizes)} bytes were sent that belong to other images in "
            "the tar: standard input tells only at its end which image has which layers"
        )
