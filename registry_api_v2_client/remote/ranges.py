"""An object on a server, of which ranges can be asked for."""

from dataclasses import dataclass
from typing import Protocol

from ..descriptors import sha256


@dataclass(frozen=True, slots=True)
class ObjectIdentity:
    """Identifies an object and its contents. ``version`` is what the server states."""

    size: int
    version: str

    @property
    def appearance(self) -> str:
        """Short, whatever the server says."""
        return f"{self.size} {sha256(self.version.encode())}"


class Ranges(Protocol):
    """Asks for one range after the other. Blocking; one thread at a time.

    Every method raises SourceUnavailableError where the server fails, SourceChangedError where the
    object has changed, and other ValidationErrors where asking again would not help.
    """

    def ask(self, start: int, stop: int) -> int:
        """Begin with byte ``start``; bytes up to ``stop`` may come.

        Returns the end of what will come: servers may give less than they are asked for.
        """
        ...

    def readinto(self, buffer: memoryview) -> int:
        """The next bytes of the range, as many as are there; none if it broke off."""
        ...

    def interrupt(self) -> None:
        """Have the other methods fail at once. Thread-safe."""
        ...

    def close(self) -> None:
        """Close the connection."""
        ...


class RangedObject(Protocol):
    """An object as it was when it was found. Thread-safe."""

    @property
    def name(self) -> str:
        """Its URL, without a query."""
        ...

    @property
    def identity(self) -> ObjectIdentity: ...

    def ranges(self) -> Ranges:
        """For one reader."""
        ...
