"""What a client tells while it works, to whoever counts it."""

from typing import NamedTuple

from yarl import URL

from .exceptions import RegistryError


class EndedRequest(NamedTuple):
    """One HTTP request and how it ended."""

    method: str
    url: URL
    """Where it went: the registry, its token server, or a host that it redirects to."""
    registry: URL
    """The registry that it was made for."""
    status: int | None
    """None without a whole answer."""
    seconds: float
    """To the end of the answer, with the time that a streamed body took."""


class Observer:
    """Hears what a client does. It ignores everything; subclass it for what should be counted.

    The methods must not raise, and not take long: they run in the middle of the work.
    """

    def request_ended(self, request: EndedRequest) -> None:
        """A request was answered, or failed. One that was cancelled is not told."""

    def encoded(self, encoding: str, taken: int, given: int, seconds: float) -> None:
        """Some bytes of a layer were read and encoded. Called on threads.

        ``encoding`` is ``gzip`` or ``zstd``, or ``none`` for bytes that are sent as they are.
        ``taken`` bytes became ``given`` bytes.
        """

    def tried_again(self, error: RegistryError) -> None:
        """A request or a blob is tried again after this error."""


NOBODY = Observer()
"""For clients that nobody watches."""
