"""Writes of tags whose outcome is not known, and the turns to put right what they did.

Each write of a job that keeps the order is noted in Redis before it is sent. The note goes when
the registry has answered and the turn was ours until then. What stays there, of a worker that
died, stood still or lost its connection, may arrive at the registry later, and over a newer job's.
"""

import secrets
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Self

from push_queue.database import Arguments, Database
from push_queue.settings import TAG_WATCH_SECONDS

_PAGE = 500
"""Notes looked at in one go."""


@dataclass(frozen=True, slots=True)
class TagWrite:
    """One turn's write of a tag."""

    target: str
    """``registry/repository:tag``."""
    digest: str
    sequence: int
    """Of the job whose image it is."""
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
    """A tag that may be written yet by who has lost the turn for it."""

    target: str
    newest: str | None
    """The digest that it should stand for; None while no job has written it."""
    sequence: int
    """Of the newest job that has written it."""
    writes: tuple[TagWrite, ...]
    over: tuple[TagWrite, ...]
    """Those of them that can arrive no more."""
    overdue: float
    """Seconds since the first of them could not."""

    @property
    def outdated(self) -> frozenset[str]:
        """Digests that the tag must not stand for.

        That of a newer job, which has not ended its turn, is none: it runs again and writes it.
        """
        older = {write.digest for write in self.writes if write.sequence <= self.sequence}
        return frozenset(older - {self.newest}) if self.newest else frozenset()


class TagWrites:
    """The notes of one namespace.

    Every method raises :class:`~push_queue.RedisUnavailableError` when Redis fails it.
    """

    def __init__(self, database: Database, watch_seconds: float = TAG_WATCH_SECONDS) -> None:
        self._database = database
        self._keys = database.keys
        self._watch_ms = int(watch_seconds * 1000)

    async def unsettled(self) -> list[UnsettledTag]:
        """The tags with writes of unknown outcome, unless somebody is writing them just now."""
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
        """Take the tag's turn for so many ``seconds`` to put ``write.digest`` back.

        False when a job is writing the tag, or has made it stand for something else.
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
        """The registry has answered. Without that, the turn is to run out and the note to stay."""
        keys = [self._keys.tag_writer(write.target), self._keys.writes]
        await self._database.run("plain/end_repair", keys, [write.token, write.note])

    async def forget(self, writes: Iterable[TagWrite]) -> None:
        """They can arrive no more, and the tag is right."""
        notes = [write.note for write in writes]
        await self._database.run("plain/forget_writes", [self._keys.writes], notes)
