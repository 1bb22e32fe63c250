"""The hashes of uploads that are not complete."""

import hashlib
from collections import OrderedDict
from typing import Any

MOST_HASHES = 1000


class Hashes:
    """The hashes of unfinished uploads so far, for the next request to continue.

    Another process has to read them again.
    """

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[int, Any]] = OrderedDict()

    def keep(self, upload_id: str, offset: int, digest: Any) -> None:
        self._kept[upload_id] = offset, digest
        if len(self._kept) > MOST_HASHES:
            self._kept.popitem(last=False)

    def take(self, upload_id: str, offset: int) -> Any | None:
        """The hash of that many bytes, if it is known."""
        known, digest = self._kept.pop(upload_id, (0, None))
        if not offset:
            return hashlib.sha256()
        return digest if known == offset else None
