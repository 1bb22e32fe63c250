"""Image archives of any size, streamed to disk, with layers that compress as real ones do."""

import hashlib
import io
import random
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.support.images import Member, blob_path, tar_info, to_json

_BLOCK = 1 << 20


def realistic_blocks(size: int, seed: int = 0) -> Iterator[bytes]:
    """Blocks of up to 1 MiB, together `size` bytes: text, binary and incompressible by turns.

    Compresses to roughly half, as distribution packages and application files do.
    """
    rng = random.Random(seed)
    words = [rng.randbytes(4).hex()[: rng.randint(2, 8)].encode() for _ in range(300)]
    lines = [b" ".join(rng.choices(words, k=9)) + b"\n" for _ in range(8192)]
    records = [rng.randbytes(4) + bytes(5) + b"\x48\x89\xe5" for _ in range(65536)]
    kinds: list[Callable[[], bytes]] = [
        lambda: b"".join(rng.choices(lines, k=_BLOCK // 32)),
        lambda: b"".join(rng.choices(records, k=_BLOCK // 12 + 1)),
        lambda: rng.randbytes(_BLOCK),
    ]
    number = 0
    while size > 0:
        block = kinds[number % len(kinds)]()[: min(size, _BLOCK)]
        yield block
        size -= len(block)
        number += 1


def write_big_layer(target: IO[bytes], size: int, seed: int = 0) -> str:
    """Stream a layer tar with about `size` bytes of files to `target`; its diff_id."""
    digest = hashlib.sha256()

    class Hashing(io.RawIOBase):
        def writable(self) -> bool:
            return True

        def write(self, data: Any) -> int:
            digest.update(data)
            return target.write(data)

    with tarfile.open(fileobj=Hashing(), mode="w|", bufsize=_BLOCK) as tar:
        for number, block in enumerate(realistic_blocks(size, seed)):
            info = tarfile.TarInfo(f"data/{seed}/{number:06d}")
            info.size = len(block)
            tar.addfile(info, io.BytesIO(block))
    return f"sha256:{digest.hexdigest()}"


@dataclass(frozen=True)
class BigArchive:
    path: Path
    config: bytes
    diff_ids: list[str]
    tag: str


def write_big_archive(
    path: Path, layer_sizes: Iterable[int], tag: str = "example/big:1.0", seed: int = 0
) -> BigArchive:
    """A docker save archive (OCI flavour) with layers of about the given sizes, in bytes.

    Streamed: memory stays at a few MiB whatever the sizes.
    """
    diff_ids: list[str] = []
    with tarfile.open(path, "w") as tar:

        def add(name: str, data: bytes) -> None:
            tar.addfile(tar_info(Member(name, data)), io.BytesIO(data))

        for number, size in enumerate(layer_sizes):
            scratch = path.with_suffix(".layer")
            with scratch.open("wb") as layer:
                diff_ids.append(write_big_layer(layer, size, seed=seed + number))
            info = tarfile.TarInfo(f"blobs/sha256/{diff_ids[-1].removeprefix('sha256:')}")
            info.size = scratch.stat().st_size
            with scratch.open("rb") as written:
                tar.addfile(info, written)
            scratch.unlink()
        config = to_json(
            {
                "architecture": "amd64",
                "os": "linux",
                "rootfs": {"type": "layers", "diff_ids": diff_ids},
            }
        )
        add(blob_path(config), config)
        layers = [f"blobs/sha256/{diff_id.removeprefix('sha256:')}" for diff_id in diff_ids]
        entry = {"Config": blob_path(config), "RepoTags": [tag], "Layers": layers}
        add("manifest.json", to_json([entry]))
    return BigArchive(path, config, diff_ids, tag)
