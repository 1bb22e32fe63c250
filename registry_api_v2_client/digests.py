"""Digests: ``sha256:<hex>``, the name of a blob by its content.

Source: https://github.com/opencontainers/image-spec/blob/main/descriptor.md#digests
"""

import hashlib


def sha256(content: bytes | bytearray) -> str:
    """The digest of some bytes."""
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
