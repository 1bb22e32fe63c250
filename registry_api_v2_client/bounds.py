"""Numbers that callers pass, and that nothing works without."""

from .exceptions import ValidationError


def check_positive(name: str, number: float) -> None:
    """Raises ValidationError if a number, of blobs or seconds, is not more than zero."""
    if not number > 0:
        raise ValidationError(f"{name} must be more than 0, not {number}")
