"""Members of a tar as blobs, configs and layers, checked against the digests in their names."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from ..descriptors import is_sha256, sha256
from ..exceptions import ArchiveDigestError, TarReadError
from ..json_document import MAX_JSON
from ..media_types import Compression, sniff_compression, sniff_unsupported
from .documents import is_string_list, parse_document, parse_object
from .files import ArchiveFiles, Member
from .model import Layer

MAX_LAYERS = 1024
"""Layers of one image. Docker runs at most 127; an artifact may have more."""


class ArchiveContents:
    """Reads members for both descriptions of images in a tar, docker save's and OCI's.

    ``checked`` says whether contents must match the digests that the tar states.
    """

    def __init__(self, tar: ArchiveFiles, *, checked: bool = True) -> None:
        self.tar = tar
        self.checked = checked

    @property
    def path(self) -> Path | str:
        return self.tar.path

    def document(self, name: str) -> Any:
        """The JSON document of that name, or None if there is none."""
        member = self.tar.find(name)
        return self._parse(member) if member else None

    def read(self, name: str, what: str) -> bytes:
        """All bytes of a small member."""
        return self.tar.read(self._member(name, what), MAX_JSON)

    def holds(self, digest: str) -> bool:
        """Whether there is a blob of that digest."""
        return self.tar.find(blob_path(digest, self.path)) is not None

    def blob(self, descriptor: Mapping[str, Any], what: str) -> bytes:
        """The small blob that a descriptor describes; ``what`` names it in errors.

        Raises:
            ArchiveDigestError: its bytes have another digest.
            TarReadError: it is missing, or its size is not the descriptor's.
        """
        digest = str(descriptor.get("digest"))
        member = self._member(blob_path(digest, self.path), what)
        self._check_size(member, descriptor)
        content = self.tar.read(member, MAX_JSON)
        if sha256(content) != digest:
            raise ArchiveDigestError(
                f"{what} {member.name} in {self.path} has digest {sha256(content)}"
            )
        return content

    def diff_ids(self, config: bytes, layers: int) -> Sequence[str | None]:
        """Digest of each layer when uncompressed, as far as the config has them."""
        self.check_layers(layers)
        rootfs = parse_object(config, f"the image config in {self.path}").get("rootfs")
        diff_ids = rootfs.get("diff_ids") if isinstance(rootfs, dict) else None
        if not diff_ids:
            return [None] * layers
        if not self.checked:
            known = [str(diff_id) for diff_id in diff_ids[:layers]]
            return [*known, *[None] * (layers - len(known))]
        if not is_string_list(diff_ids) or len(diff_ids) != layers:
            raise TarReadError(
                f"{self.path}: the config's rootfs.diff_ids do not match its {layers} layers"
            )
        # They end up in URLs, so only digests are let through.
        if wrong := [diff_id for diff_id in diff_ids if not is_sha256(diff_id)]:
            raise TarReadError(f"{self.path}: diff_id {wrong[0]!r} is not a sha256:… digest")
        return diff_ids

    def check_layers(self, count: int) -> None:
        if count > MAX_LAYERS:
            raise TarReadError(f"an image in {self.path} has more than {MAX_LAYERS} layers")

    def layer(
        self,
        name: str,
        *,
        digest: str | None,
        diff_id: str | None,
        descriptor: Mapping[str, Any] | None = None,
        is_tar: bool = True,
    ) -> Layer:
        """The layer in the member ``name``, with the digests that the archive states."""
        member = self._member(name, "layer")
        if descriptor:
            self._check_size(member, descriptor)
        compression = sniff_compression(member.head)
        if is_tar and compression is Compression.NONE:
            if unsupported := sniff_unsupported(member.head):
                raise TarReadError(
                    f"layer {name} in {self.path} is compressed with {unsupported}, which no "
                    "registry has a media type for; build the image with gzip or zstd layers"
                )
            if self.checked and digest and diff_id and digest != diff_id:
                raise ArchiveDigestError(
                    f"layer {name} in {self.path} is uncompressed, but its diff_id is {diff_id}"
                )
            digest = diff_id = digest or diff_id
        return Layer(member, compression, digest, diff_id, descriptor, is_tar)

    def _member(self, name: str, what: str) -> Member:
        member = self.tar.find(name)
        if not member:
            raise TarReadError(f"{what} {name} is missing from {self.path}")
        return member

    def _check_size(self, member: Member, descriptor: Mapping[str, Any]) -> None:
        stated = descriptor.get("size")
        if stated != member.size:
            raise TarReadError(
                f"{member.name} in {self.path} has {member.size} bytes, but its descriptor says "
                f"{stated}"
            )

    def _parse(self, member: Member) -> Any:
        return parse_document(self.tar.read(member, MAX_JSON), f"{member.name} in {self.path}")


def blob_path(digest: object, path: Path | str) -> str:
    """The path of a blob in a layout.

    Raises:
        TarReadError: not a sha256 digest.
    """
    if not is_sha256(str(digest)):
        raise TarReadError(f"{digest} in {path} is not a sha256 digest, the only kind supported")
    return f"blobs/{str(digest).replace(':', '/')}"
