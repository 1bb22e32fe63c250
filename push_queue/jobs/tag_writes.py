"""Tag writes whose outcome is unknown, and the turns to repair tags after them.

A write is noted in Redis before it is sent, unless its job keeps no order. The note is removed once
the registry has answered within the turn. If the worker dies, hangs or loses its connection, the
note stays: the write may still reach the registry, and overwrite a newer job's.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from push_queue.redis.database import Arguments, Database
from push_queue.settings import TAG_WATCH_SECONDS

_PAGE = 500
"""How many notes to look at together."""


@dataclass(frozen=True, slots=True)
class TagWrite:
    """One turn's write of a tag."""

    target: str
    """``registry/repository:tag``."""
    digest: str
    sequence: int
    """The sequence number of the job whose image it is."""
    token: str = field(default_factory=lambda: secrets.token_hex(8))

    @property
    def note(self) -> str:
        return f"{self.token} {self.sequence} {self.digest} {self.target}"

    @classmethod
    def parse(cls, note: str) -> Self:
        token, sequence, digest, target = note.split(" ")
        return cls(target, digest, int(sequence), token)


@dataclass(frozen=True, slots=True)
class UnsettledTag:
    """A tag that a worker may yet write although its turn is over."""

    target: str
    newest: str | None
    """The digest that it should have. None if no job has written it."""
    sequence: int
    """The sequence number of the newest job that has written it."""
    writes: tuple[TagWrite, ...]
    over: tuple[TagWrite, ...]
    """The ``writes`` that can no longer arrive."""
    overdue: float
    """Seconds since the first of ``over`` could last arrive."""

    @property
    def registry(self) -> str:
        """The host in ``target``."""
        return self.target.partition("/")[0]

    @property
    def outdated(self) -> frozenset[str]:
        """Digests that the tag must not have.

        A newer job that has not ended its turn will run again and write the tag, so its digest is
        fine.
        """
        older = {write.digest for write in self.writes if write.sequence <= self.sequence}
        return frozenset(older - {self.newest}) if self.newest else frozenset()


class TagWrites:
    """The notes of one namespace.

    Every method raises :class:`RedisUnavailableError` when Redis fails.
    """

    def __init__(self, database: Database, watch_seconds: float = TAG_WATCH_SECONDS) -> None:
        self._database = database
        self._keys = database.keys
        self._watch_ms = int(watch_seconds * 1000)

    async def unsettled(self) -> list[UnsettledTag]:
        """The tags with writes of unknown outcome, except those being written now."""
        arguments: Arguments = [self._keys.namespace, _PAGE]
        answer = await self._database.run("plain/unsettled_writes", [self._keys.writes], arguments)
        found: dict[tuple[str, str, int], list[tuple[TagWrite, float]]] = defaultdict(list)
        for note, overdue, newest, sequence in zip(*[iter(answer)] * 4, strict=True):
            write = TagWrite.parse(note.decode())
            key = write.target, newest.decode(), int(sequence)
            found[key].append((write, overdue / 1000))
        return [
            UnsettledTag(
                target,
                newest or None,
                sequence,
                tuple(write for write, _ in writes),
                tuple(write for write, overdue in writes if overdue >= 0),
                max(overdue for _, overdue in writes),
            )
            for (target, newest, sequence), writes in found.items()
        ]

    async def take_turn(self, write: TagWrite, seconds: float) -> bool:
        """Take the tag's turn for ``seconds``, to put ``write.digest`` back.

        False if a job is writing the tag, or has written another digest.
        """
        keys = [
            self._keys.tag(write.target),
            self._keys.tag_writer(write.target),
            self._keys.writes,
        ]
        arguments: Arguments = [
            write.digest,
            write.token,
            int(seconds * 1000),
            write.note,
            self._watch_ms,
        ]
        return bool(await self._database.run("plain/take_repair", keys, arguments))

    async def end_turn(self, write: TagWrite) -> None:
        """End the turn after the registry's answer. Without one it must expire by itself."""
        keys = [self._keys.tag_writer(write.target), self._keys.writes]
        await self._database.run("plain/end_repair", keys, [write.token, write.note])

    async def forget(self, writes: Iterable[TagWrite]) -> None:
        """Delete the notes of writes that can no longer arrive, once the tag is right."""
        notes = [write.note for write in writes]
        await self._database.run("plain/forget_writes", [self._keys.writes], notes)
