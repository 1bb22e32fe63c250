"""Pushes by the engine itself, for tests of single mechanisms."""

from collections.abc import Callable
from pathlib import Path

from yarl import URL

from registry_api_v2_client.api.registry import Registry
from registry_api_v2_client.api.transport import Transport
from registry_api_v2_client.archive.image_archive import ImageArchive
from registry_api_v2_client.media_types import Compression
from registry_api_v2_client.push.compression import BLOCK_SIZE, CompressionPolicy, encoder_for
from registry_api_v2_client.push.engine import ImagePusher
from registry_api_v2_client.push.image_push import PushedImage
from registry_api_v2_client.push.manifest_push import Target
from registry_api_v2_client.push.progress import BlobProgress
from registry_api_v2_client.retry import RetryPolicy

FEW_AND_FAST = RetryPolicy(attempts=3, base=0.01)


async def push(
    pusher: ImagePusher,
    path: Path,
    *places: str,
    compression: CompressionPolicy = CompressionPolicy.GZIP,
    on_progress: Callable[[BlobProgress], None] = lambda _: None,
    timeout: float = 60,
    tags: tuple[str, ...] = ("1",),
    reuse_tagged: bool = False,
) -> PushedImage:
    """Push the only image of a tar with the tags to each of the places: `http://host/repository`."""
    async with Transport(timeout=timeout, commit_timeout=timeout) as transport:
        targets = [
            Target(Registry(transport, place.origin()), place.path.lstrip("/"), tags)
            for place in map(URL, places)
        ]
        with ImageArchive(path) as archive:
            return await pusher.push(
                archive,
                archive.select(),
                targets,
                compression=compression,
                on_progress=on_progress,
                reuse_tagged=reuse_tagged,
            )


def encoded(content: bytes, policy: CompressionPolicy) -> bytes:
    """What a layer is sent as, by the encoder alone: one block after the other on one thread."""
    encoder = encoder_for(policy, Compression.NONE)()
    output = bytearray(encoder.header)
    for start in range(0, len(content), BLOCK_SIZE):
        block = memoryview(content)[start : start + BLOCK_SIZE]
        parts, checksum = encoder.encode(block)
        encoder.add(checksum, len(block))
        output += b"".join(parts)
    return bytes(output + encoder.trailer())
