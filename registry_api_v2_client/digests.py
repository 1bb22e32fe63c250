"""Digests: ``sha256:<hex>``, the name of a blob by its content.

Source: https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
"""

import hashlib
import re

_SHA256 = re.compile(r"sha256:[0-9a-f]{64}")


def sha256(content: bytes | bytearray) -> str:
    """The digest of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"


def is_sha256(text: str) -> bool:
    """Whether it is a digest of the one algorithm that archives and registries use."""
    return _SHA256.fullmatch(text) is not None
