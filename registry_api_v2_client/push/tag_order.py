"""Who may write a tag: pushes of the same tag may end in another order than they began."""

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
        """Around each request that writes the tag.

        Left with an exception, the request may still arrive; only an answer of the registry's says
        that it will not. Entering raises when the turn is over.
        """


class TagOrder(Protocol):
    """Asked by a push before it writes a tag."""

    def turn(self, reference: str, digest: str) -> AbstractAsyncContextManager[TagTurn | None]:
        """The turn to make ``registry/repository:tag`` stand for ``digest``, one push at a time.

        Gives None where a newer push has written the tag: then it is left alone. Leaving without
        an exception says that the tag stands for the digest now.
        """


class AnyOrder:
    """Whoever comes last wins."""

    @asynccontextmanager
    async def turn(self, reference: str, digest: str) -> AsyncIterator[TagTurn | None]:
        yield self

    def write(self) -> AbstractContextManager[None]:
        return nullcontext()
