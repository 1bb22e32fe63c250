"""Read an image back with skopeo, an independent implementation."""

import gzip
import hashlib
import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import zstandard

from tests.support.processes import require_program

GZIP_MAGIC = b"\x1f\x8b"
ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"


@dataclass(frozen=True)
class PulledImage:
    """An image as the registry serves it: documents and layer blobs byte for byte."""

    manifest_bytes: bytes
    config: bytes
    layers: list[bytes]

    @property
    def manifest(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.manifest_bytes)
        return document

    @property
    def digest(self) -> str:
        return f"sha256:{hashlib.sha256(self.manifest_bytes).hexdigest()}"

    @property
    def contents(self) -> list[bytes]:
        return [decompress(layer) for layer in self.layers]


def decompress(blob: bytes) -> bytes:
    """The content of a layer blob, whatever it is compressed with."""
    if blob.startswith(GZIP_MAGIC):
        return gzip.decompress(blob)
    if blob.startswith(ZSTD_MAGIC):
        with zstandard.ZstdDecompressor().stream_reader(blob) as reader:
            return bytes(reader.read())
    return blob


def skopeo(*arguments: str) -> bytes:
    """Run skopeo; its standard output. A failure is an error that carries its message."""
    program = require_program("skopeo")
    with TemporaryDirectory(prefix="skopeo-") as data_home:
        # Else it takes what it has pushed before, differently compressed maybe, for a layer; as
        # root it would look for that in the machine's cache.
        environment = os.environ | {"XDG_DATA_HOME": data_home, "_CONTAINERS_ROOTLESS_UID": "1"}
        done = subprocess.run(
            [program, *arguments], capture_output=True, check=False, timeout=120, env=environment
        )
    if done.returncode:
        raise RuntimeError(f"skopeo {arguments[0]}: {done.stderr.decode(errors='replace')}")
    return done.stdout


def skopeo_inspect(reference: str, *, creds: str | None = None) -> dict[str, Any]:
    """`skopeo inspect` of `host:port/repository:tag` over plain HTTP."""
    options = ["--creds", creds] if creds else []
    output = skopeo("inspect", "--tls-verify=false", *options, f"docker://{reference}")
    document: dict[str, Any] = json.loads(output)
    return document


def raw_manifest(reference: str) -> bytes:
    """The manifest or index that a registry serves, byte for byte; skopeo checks its digest."""
    return skopeo("inspect", "--raw", "--tls-verify=false", f"docker://{reference}")


def skopeo_copy_to_dir(reference: str, directory: Path, *, creds: str | None = None) -> PulledImage:
    """Copy an image from a registry to `directory`, unchanged; skopeo verifies every digest."""
    options = ["--src-creds", creds] if creds else []
    source, target = f"docker://{reference}", f"dir:{directory}"
    skopeo("copy", "--src-tls-verify=false", "--preserve-digests", *options, source, target)
    manifest_bytes = (directory / "manifest.json").read_bytes()
    manifest = json.loads(manifest_bytes)

    def blob(descriptor: dict[str, Any]) -> bytes:
        digest: str = descriptor["digest"]
        return (directory / digest.removeprefix("sha256:")).read_bytes()

    return PulledImage(
        manifest_bytes, blob(manifest["config"]), [blob(layer) for layer in manifest["layers"]]
    )


def skopeo_push_archive(archive: Path, reference: str, *, transport: str) -> None:
    """Push an archive (`docker-archive` or `oci-archive`) to a registry over plain HTTP."""
    command = ("copy", "--dest-tls-verify=false", f"{transport}:{archive}", f"docker://{reference}")
    try:
        skopeo(*command)
    except RuntimeError as error:
        # It sends layers at once, and distribution answers 500 where it is asked for one just as
        # the same one, which this image has twice, is written.
        if "500 (Internal Server Error)" not in str(error):
            raise
        skopeo(*command)
