"""Image tars as ``docker save`` writes them since Docker 25: blobs, OCI index, manifest.json."""

import hashlib
import io
import json
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from .file_contents import FileContents

OCI_IMAGE = "application/vnd.oci.image"


@dataclass(frozen=True)
class LayerSpec:
    """What a layer is made from: the same spec gives the same bytes."""

    size: int
    """Bytes of the files in it, without headers."""
    seed: int


_SHARES = (30, 25, 20, 15, 9, 1)
"""Of six layers, the base first, in percent."""


def six_layer_specs(size: int) -> list[LayerSpec]:
    """The layers of an image of ``size`` bytes that an application's build makes."""
    return [LayerSpec(size * share // 100, seed) for seed, share in enumerate(_SHARES)]


@dataclass(frozen=True)
class Blob:
    """A blob in an archive."""

    digest: str
    size: int
    offset: int
    """Where it starts in the archive."""

    def descriptor(self, media_type: str) -> dict[str, Any]:
        return {"mediaType": media_type, "digest": self.digest, "size": self.size}


@dataclass(frozen=True)
class ImageTar:
    """An image archive on disk with uncompressed layers, the base first."""

    path: Path
    layers: tuple[Blob, ...]


def write_image(path: Path, specs: Sequence[LayerSpec]) -> ImageTar:
    """Write an archive with these layers; streaming, so of any size."""
    with path.open("w+b") as target:
        layers = tuple(_write_layer(target, spec) for spec in specs)
        _write_documents(target, layers, tag=f"benchmark/{path.stem}:latest")
        target.write(bytes(2 * tarfile.BLOCKSIZE))
    return ImageTar(path, layers)


def extract(blob: Blob, archive: Path, target: Path) -> None:
    """Write a blob to a file of its own."""
    with archive.open("rb") as source, target.open("wb") as output:
        source.seek(blob.offset)
        left = blob.size
        while left:
            left -= output.write(source.read(min(left, 1 << 20)))


class _Hashing(io.RawIOBase):
    """Passes on what is written, and hashes it."""

    def __init__(self, target: IO[bytes]) -> None:
        self._target = target
        self.sha256 = hashlib.sha256()
        self.size = 0

    def write(self, data: Any) -> int:
        self.sha256.update(data)
        self.size += len(data)
        return self._target.write(data)


def _write_layer(target: IO[bytes], spec: LayerSpec) -> Blob:
    # The member is named by its digest, so its header is written last.
    header = target.tell()
    target.write(bytes(tarfile.BLOCKSIZE))
    hashing = _Hashing(target)
    with tarfile.open(fileobj=hashing, mode="w|", bufsize=1 << 20) as layer:
        for number, content in enumerate(FileContents(spec.seed).files(spec.size)):
            info = tarfile.TarInfo(f"opt/layer-{spec.seed}/{number // 100:03d}/{number:06d}.dat")
            info.size = len(content)
            layer.addfile(info, io.BytesIO(content))
    blob = Blob(f"sha256:{hashing.sha256.hexdigest()}", hashing.size, header + tarfile.BLOCKSIZE)
    end = target.tell()  # tarfile pads a layer to whole tar blocks
    target.seek(header)
    target.write(_header(_member(blob.digest), blob.size))
    target.seek(end)
    return blob


def _write_documents(target: IO[bytes], layers: Sequence[Blob], tag: str) -> None:
    config = _add_blob(
        target,
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [layer.digest for layer in layers]},
        },
    )
    manifest = _add_blob(
        target,
        {
            "schemaVersion": 2,
            "mediaType": f"{OCI_IMAGE}.manifest.v1+json",
            "config": config.descriptor(f"{OCI_IMAGE}.config.v1+json"),
            "layers": [layer.descriptor(f"{OCI_IMAGE}.layer.v1.tar") for layer in layers],
        },
    )
    index = {
        "schemaVersion": 2,
        "mediaType": f"{OCI_IMAGE}.index.v1+json",
        "manifests": [manifest.descriptor(f"{OCI_IMAGE}.manifest.v1+json")],
    }
    image = {
        "Config": _member(config.digest),
        "RepoTags": [tag],
        "Layers": [_member(layer.digest) for layer in layers],
    }
    _add(target, "index.json", _json(index))
    _add(target, "manifest.json", _json([image]))
    _add(target, "oci-layout", _json({"imageLayoutVersion": "1.0.0"}))


def _add_blob(target: IO[bytes], document: object) -> Blob:
    content = _json(document)
    digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
    return Blob(digest, len(content), _add(target, _member(digest), content))


def _add(target: IO[bytes], name: str, content: bytes) -> int:
    """Add a member; the offset of its content."""
    target.write(_header(name, len(content)))
    offset = target.tell()
    target.write(content + bytes(-len(content) % tarfile.BLOCKSIZE))
    return offset


def _header(name: str, size: int) -> bytes:
    info = tarfile.TarInfo(name)
    info.size = size
    return info.tobuf(tarfile.GNU_FORMAT)


def _member(digest: str) -> str:
    return f"blobs/sha256/{digest.removeprefix('sha256:')}"


def _json(document: object) -> bytes:
    return json.dumps(document, separators=(",", ":")).encode()
