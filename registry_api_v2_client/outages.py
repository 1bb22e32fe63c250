"""Which failures pass with time: the registry is down, or limits the rate of requests."""

from collections.abc import Iterable

from .exceptions import RateLimitedError, RegistryError, RegistryUnavailableError, ServerError

_AWAY = frozenset({502, 503, 504})
"""What a gateway answers when the registry behind it is down."""


def is_outage(error: RegistryError) -> bool:
    """Whether the registry is down or limits the rate. This uses up a job's time, not attempts."""
    return error.registry is not None and (
        asks_for_a_pause(error)
        or isinstance(error, RegistryUnavailableError)
        or (isinstance(error, ServerError) and error.status in _AWAY)
    )


def asks_for_a_pause(error: RegistryError) -> bool:
    """Whether the registry is up but limits the rate: 429, or 503 with Retry-After."""
    return isinstance(error, RateLimitedError) or (
        isinstance(error, ServerError) and bool(error.retry_after)
    )


def most_hopeful(failures: Iterable[RegistryError]) -> RegistryError:
    """The failure to raise for several: rather an outage, or else one that a retry may fix."""
    return max(failures, key=lambda error: (is_outage(error), error.retryable))
