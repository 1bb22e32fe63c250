"""What is known about a registry: where its blobs are, and unfinished uploads."""

import re
from collections import Counter
from collections.abc import Iterable

from pydantic import BaseModel, ConfigDict, NonNegativeInt

from push_queue.redis.database import Database

_LOOKED_AT = 1000
"""Keys that one look passes, so that Redis soon serves others."""


class ForgottenKnowledge(BaseModel):
    """How many entries there were of each kind."""

    model_config = ConfigDict(frozen=True)

    blobs: NonNegativeInt = 0
    """Blobs whose repositories were known."""
    uploads: NonNegativeInt = 0
    """Interrupted uploads."""


class RegistryKnowledge:
    """The knowledge of one namespace, which lies among all other keys of a database."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._redis = database.redis
        self._keys = database.keys

    async def forget(self, registry: str, *, dry_run: bool = False) -> ForgottenKnowledge:
        """Delete it, or only count it.

        It may be called while jobs run. What they learn meanwhile may stay.

        Layers stay, since what they become is true anywhere. So does the order of tags: without it,
        an older job that runs would write over a newer one's image.

        Raises:
            RedisUnavailableError: Redis fails; some of it may be deleted.
        """
        prefixes = {
            self._keys.blob(registry, ""): "blobs",
            self._keys.upload(registry, "", "").removesuffix(":"): "uploads",
        }
        pattern = f"{_literally(self._keys.namespace)}:[bu]*:{_literally(registry)}[:/]*"
        counted: Counter[str] = Counter()
        cursor = 0
        while True:
            cursor, found = await self._database.ask(
                self._redis.scan(cursor, match=pattern, count=_LOOKED_AT)
            )
            kinds = {key: _kind(key.decode(), prefixes.items()) for key in found}
            known = [key for key, kind in kinds.items() if kind]
            if known and not dry_run:
                await self._database.ask(self._redis.unlink(*known))
            counted.update(kinds[key] for key in known)
            if not cursor:
                return ForgottenKnowledge(**counted)


def _kind(key: str, prefixes: Iterable[tuple[str, str]]) -> str:
    """What the key holds; empty if it is something else."""
    for prefix, kind in prefixes:
        rest = key.removeprefix(prefix)
        # With a second colon, a blob's digest follows the port of another registry of this host.
        if rest != key and (kind == "uploads" or rest.count(":") == 1):
            return kind
    return ""


def _literally(text: str) -> str:
    """The text in a pattern of Redis."""
    return re.sub(r"([\[\]*?\\])", r"\\\1", text)
