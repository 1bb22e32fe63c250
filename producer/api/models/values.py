"""How times and numbers in requests are read."""

from typing import Annotated

from pydantic import AwareDatetime, BeforeValidator, Field


def _written_out(value: object) -> object:
    """Numbers would be read as Unix time, in seconds or milliseconds by their size."""
    if value is not None and "T" not in str(value).upper():
        raise ValueError("must be a time with its zone, such as 2026-01-31T09:30:00Z")
    return value


def whole(value: object) -> object:
    """In JSON, ``60.0`` is a whole number, too."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Moment = Annotated[AwareDatetime, Field(strict=False), BeforeValidator(_written_out)]
