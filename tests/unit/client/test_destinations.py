"""What a push to several targets raises, and when."""

from itertools import permutations
from types import SimpleNamespace
from typing import Any, cast

import pytest

from registry_api_v2_client.exceptions import (
    DeniedError,
    NoSlotError,
    RegistryError,
    RegistryUnavailableError,
    ServerError,
)
from registry_api_v2_client.push.destinations import Destination, Destinations


def destination(host: str) -> Destination:
    target = SimpleNamespace(registry=SimpleNamespace(name=host))
    return Destination(cast(Any, target), cast(Any, SimpleNamespace(host=host)))


def failed_at(host: str, error: RegistryError) -> RegistryError:
    error.registry = host
    return error


FAILURES = (
    failed_at("away", RegistryUnavailableError("no answer")),
    failed_at("broken", ServerError("500", status=500)),
    failed_at("forbidden", DeniedError("403", status=403)),
)


@pytest.mark.parametrize("failures", list(permutations(FAILURES)))
def test_what_time_alone_mends_is_raised_first(failures: tuple[RegistryError, ...]) -> None:
    """Otherwise attempts at a broken target would be used up before the other is back."""
    ones = [destination(str(error.registry)) for error in failures]
    destinations = Destinations(ones)
    for one, error in zip(ones[:-1], failures[:-1], strict=True):
        destinations.leave_out(one, error)
    with pytest.raises(RegistryUnavailableError):
        destinations.leave_out(ones[-1], failures[-1])
    assert not destinations.left


def test_what_may_pass_is_raised_before_what_does_not() -> None:
    ones = [destination("forbidden"), destination("busy"), destination("busy")]
    destinations = Destinations(ones)
    destinations.leave_out(ones[0], FAILURES[2])
    with pytest.raises(NoSlotError):
        destinations.leave_out(ones[1], NoSlotError("asks for a pause"))
    assert not destinations.left, "both targets of the busy one are left out"
