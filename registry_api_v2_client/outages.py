"""Which failures time mends: the registry is away, or wants less."""

from collections.abc import Iterable

from .exceptions import RateLimitedError, RegistryError, RegistryUnavailableError, ServerError

_AWAY = frozenset({502, 503, 504})
"""What a gateway answers for a registry behind it."""


def is_outage(error: RegistryError) -> bool:
    """Whether the registry is away or wants less. This uses up a job's time, not attempts."""
    return error.registry is not None and (
        asks_for_a_pause(error)
        or isinstance(error, RegistryUnavailableError)
        or (isinstance(error, ServerError) and error.status in _AWAY)
    )


def asks_for_a_pause(error: RegistryError) -> bool:
    """Whether the registry is well and wants less: 429, or 503 with Retry-After."""
    return isinstance(error, RateLimitedError) or (
        isinstance(error, ServerError) and bool(error.retry_after)
    )


def most_hopeful(failures: Iterable[RegistryError]) -> RegistryError:
    """Of several failures the one to go by: that time mends, else that a retry may mend."""
    return max(failures, key=lambda error: (is_outage(error), error.retryable))
