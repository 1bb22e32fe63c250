"""Where a blob's bytes come from: a layer in the archive, or memory."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from ..archive.files import ArchiveFiles, Member
from ..descriptors import BlobInfo, is_sha256
from ..observer import NOBODY, Observer
from .blob_stream import BlobStream, encode_small
from .blocks import BlockPool
from .compression import BLOCK_SIZE, AsIs, Encoder


@dataclass(frozen=True, slots=True)
class LayerSource:
    """A layer. ``digest`` is that of its stored bytes; ``encoder`` encodes them for sending."""

    tar: ArchiveFiles
    member: Member
    digest: str
    encoder: type[Encoder]
    media_type: str

    @property
    def key(self) -> str:
        """Names the blob and its encoding: the same key means the same bytes."""
        return f"{self.digest}:{self.encoder.name}"

    @property
    def size(self) -> int:
        return self.member.size

    @property
    def small(self) -> bool:
        """Whether to send it in one request, from memory."""
        return self.member.size <= BLOCK_SIZE

    def read(self, observer: Observer = NOBODY) -> bytes:
        """The encoded bytes of a small layer. Blocking."""
        reader = self.tar.open(self.member)
        return encode_small(reader, self.member, self.digest, self.encoder(), observer)

    def stream(self, pool: BlockPool, on_sent: Callable[[int], None]) -> BlobStream:
        """The encoded bytes in blocks."""
        return BlobStream(
            partial(self.tar.open, self.member),
            self.member,
            self.digest,
            self.encoder(),
            pool,
            on_sent,
            remote=self.tar.remote,
        )


@dataclass(frozen=True, slots=True)
class BytesSource:
    """A blob that is in memory: a config."""

    content: bytes
    digest: str
    media_type: str
    small = True
    encoder: type[Encoder] = AsIs

    @property
    def key(self) -> str:
        return f"{self.digest}:{self.encoder.name}"

    @property
    def size(self) -> int:
        return len(self.content)


BlobSource = LayerSource | BytesSource


def can_be(blob: BlobInfo, source: BlobSource) -> bool:
    """Whether a remembered blob can be the encoded source, judged by its descriptor alone.

    A writer of the ledger may still have named another blob of the registry.
    """
    # Incompressible bytes are stored, with a few bytes more in each block.
    longest = source.size + source.size // 100 + 1024
    return is_sha256(blob.digest) and 0 < blob.size <= longest
