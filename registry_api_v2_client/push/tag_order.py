"""Which push may write a tag. Pushes of the same tag may end in another order than they began."""

from collections.abc import AsyncIterator
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    asynccontextmanager,
    nullcontext,
)
from typing import Protocol


class TagTurn(Protocol):
    """The right to write a tag, for as long as the turn lasts."""

    def write(self) -> AbstractContextManager[None]:
        """Held around each request that writes the tag.

        If it is left with an exception, the request may still arrive; only an answer of the
        registry says that it will not. Entering raises if the turn is over.
        """


class TagOrder(Protocol):
    """Asked by a push before it writes a tag."""

    def turn(self, reference: str, digest: str) -> AbstractAsyncContextManager[TagTurn | None]:
        """The turn to have ``registry/repository:tag`` name ``digest``, for one push at a time.

        Gives None if a newer push has written the tag, which is then left alone. Leaving without an
        exception says that the tag names the digest now.
        """


class AnyOrder:
    """The last push wins."""

    @asynccontextmanager
    async def turn(self, reference: str, digest: str) -> AsyncIterator[TagTurn | None]:
        yield self

    def write(self) -> AbstractContextManager[None]:
        return nullcontext()
