"""How fast blobs are sent to a registry."""

from typing import Protocol


class SendRate(Protocol):
    """Asked before each piece of a blob that is sent."""

    async def may_send(self, registry: str, most: int) -> int:
        """How many bytes may be sent now, from 1 to ``most``; waits until there are some.

        ``registry`` is a host as references name it. The registry waits meanwhile, and its
        time-out stands still.
        """


class Unlimited:
    """As fast as they go."""

    async def may_send(self, registry: str, most: int) -> int:
        return most
