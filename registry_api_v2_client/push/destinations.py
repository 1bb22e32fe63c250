"""Where a push goes. A target that fails is left out, and the others get their image."""

from collections.abc import Awaitable, Callable, Collection, Sequence
from dataclasses import dataclass
from typing import TypeVar

from ..exceptions import (
    NoSlotError,
    RegistryError,
    RegistryUnavailableError,
    SourceUnavailableError,
    ValidationError,
)
from ..outages import most_hopeful
from .manifest_push import Target
from .repository_blobs import RepositoryBlobs
from .tasks import together

T = TypeVar("T")


@dataclass(frozen=True, slots=True, eq=False)
class Destination:
    """A target, and the blobs of its repository."""

    target: Target
    blobs: RepositoryBlobs

    @property
    def host(self) -> str:
        return self.blobs.host


Step = Callable[[Destination], Awaitable[None]]


class Destinations:
    """The destinations of one push. ``left`` are neither done nor left out."""

    def __init__(self, destinations: Sequence[Destination]) -> None:
        self.left = list(destinations)
        self._failures: list[RegistryError] = []

    def done(self, destination: Destination) -> None:
        self.left.remove(destination)

    def leave_out(self, failed: Destination, error: RegistryError) -> None:
        """Go on without one, or without its whole registry if that gives no answer or no slot.

        Raises:
            RegistryError: it was the last one; see ``raise_failure``.
        """
        away = isinstance(error, RegistryUnavailableError | NoSlotError)
        self.left = [
            one for one in self.left if one is not failed and not (away and one.host == failed.host)
        ]
        self._failures.append(error)
        if not self.left:
            self.raise_failure()

    def raise_failure(self) -> None:
        """Raise the most hopeful failure, if there is one."""
        if self._failures:
            raise most_hopeful(self._failures)

    async def each(self, step: Step) -> None:
        """Run a step at all that are left: registries in parallel, the targets of each in turn."""
        by_host: dict[str, list[Destination]] = {}
        for one in self.left:
            by_host.setdefault(one.host, []).append(one)
        await together(self._one_by_one(group, step) for group in by_host.values())

    async def _one_by_one(self, group: Collection[Destination], step: Step) -> None:
        for destination in group:
            if destination in self.left:
                attempt = Attempt()
                await attempt.at([destination], step)
                for failed, error in attempt.failures.items():
                    self.leave_out(failed, error)


class Attempt:
    """One attempt at a step at several destinations. A failure does not stop the others.

    ``made`` are the destinations that were tried, ``failures`` the errors of those that failed.
    """

    def __init__(self) -> None:
        self.made: set[Destination] = set()
        self.failures: dict[Destination, RegistryError] = {}

    async def at(
        self, destinations: Collection[Destination], step: Callable[[Destination], Awaitable[T]]
    ) -> dict[Destination, T]:
        """Run a step at all of them in parallel. Returns the results that there are, in order."""
        results: dict[Destination, T] = {}

        async def take(destination: Destination) -> None:
            self.made.add(destination)
            try:
                results[destination] = await step(destination)
            except (ValidationError, SourceUnavailableError):  # wrong, or away, for all of them
                raise
            except RegistryError as error:
                error.registry = error.registry or destination.target.registry.name
                self.failures[destination] = error

        await together(map(take, destinations))
        return {one: results[one] for one in destinations if one in results}
