"""Descriptors: what a manifest says about a blob, which it names by the digest of its content.

Source: https://github.com/opencontainers/image-spec/blob/main/descriptor.md
"""

import hashlib
import re
from dataclasses import dataclass
from typing import Any

from .media_types import OCTET_STREAM

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


@dataclass(frozen=True, slots=True)
class BlobInfo:
    """The descriptor of one blob. ``size`` is in bytes."""

    digest: str
    size: int
    media_type: str = OCTET_STREAM

    @property
    def digest_short(self) -> str:
        """The first twelve hexadecimal digits, as docker prints an id."""
        return self.digest.rpartition(":")[2][:12]

    def as_document(self) -> dict[str, Any]:
        """The descriptor as it appears in a manifest."""
        return {"mediaType": self.media_type, "size": self.size, "digest": self.digest}


def sha256(content: bytes | bytearray) -> str:
    """The digest of some bytes: ``sha256:<hex>``."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_sha256(text: str) -> bool:
    """Whether it is a digest of the one algorithm that archives and registries use."""
    return _SHA256.fullmatch(text) is not None
