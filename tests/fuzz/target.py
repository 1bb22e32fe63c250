"""What a fuzz target is, and what all of them demand."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from hypothesis.strategies import SearchStrategy

from registry_api_v2_client.exceptions import RegistryError

LONGEST_MESSAGE = 12_000
LONGEST_PAUSE = 86_400


@dataclass(frozen=True)
class Target:
    """``check`` raises for an input that is not handled; ``inputs`` makes inputs up."""

    name: str
    inputs: SearchStrategy[Any]
    check: Callable[[Any], None]


def handles(action: Callable[[], object]) -> None:
    """Whatever the input, the outcome is a result or a proper error of this library."""
    try:
        action()
    except RegistryError as error:
        assert_proper(error)


def assert_proper(error: RegistryError) -> None:
    message = str(error)
    assert message
    assert message.isprintable(), message
    assert len(message) < LONGEST_MESSAGE
    assert error.retry_after is None or 0 <= error.retry_after <= LONGEST_PAUSE
