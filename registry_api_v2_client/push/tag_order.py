"""Who may write a tag: pushes of the same tag may end in another order than they began."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Protocol


class TagOrder(Protocol):
    """Asked by a push before it writes a tag."""

    def turn(self, reference: str, digest: str) -> AbstractAsyncContextManager[bool]:
        """The turn to make ``registry/repository:tag`` stand for ``digest``, one push at a time.

        Gives False where a newer push has written the tag: then it is left alone. Leaving without
        an exception says that the tag stands for the digest now.
        """


class AnyOrder:
    """Whoever comes last wins."""

    @asynccontextmanager
    async def turn(self, reference: str, digest: str) -> AsyncIterator[bool]:
        yield True
